/* page_swept.js - the numbers of tests/report/sweep_example.json. */
const chart = chartOf('k-NN top-1');
expect(chart.data.datasets[1].data.map((one) => one.y).join() === '61.1,62.4,62,59.8', 'other means');
expect(chart.data.datasets[0].data.length === 12, 'other seeds');
expect(all('#sweep tbody tr')[1].textContent.includes('highest mean'), 'the best is not marked');
return verdict();
