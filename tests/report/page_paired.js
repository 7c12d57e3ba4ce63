/* page_paired.js - the numbers of tests/report/comparison_example.json, drawn and written. */
const lines = chartOf('Each seed, A to B');
expect(lines.data.datasets.length === 6, 'not a line for each seed, and the mean');
expect(lines.data.datasets[0].data.join() === '78.21,80.02', 'the first line is ' + lines.data.datasets[0].data);
const bar = chartOf('Difference B − A').data.datasets[1].data;
expect(bar[0].y === 1.37141 && bar[1].y === 1.99259, 'another interval');
expect(all('.verdict-line').map((line) => line.textContent).join() === 'B better,No difference shown', 'other verdicts');
expect(all('table.metrics tbody tr').length === 3, 'not a row for each metric');
expect(all('table.metrics tbody tr')[2].textContent.includes('−0.33'), 'no minus');
const text = document.querySelector('#comparison').textContent;
expect(text.includes('not reached'), 'a target that was not reached');
expect(text.includes('sampler.use'), 'what differs is not said');
// Another metric, by its choice.
const choice = document.querySelector('#comparison select');
choice.value = '2';
choice.dispatchEvent(new Event('change'));
expect(chartOf('Each seed, A to B').data.datasets[0].data.join() === '71.2,71.4', 'the choice changes nothing');
// Runs of one arm have one colour, and one key of the legend.
const keys = all('.controls .key');
expect(keys.length === 2 && keys[0].textContent.startsWith('A'), 'other keys');
const loss = chartOf('Loss');
keys[0].click();
expect(loss.data.datasets.every((dataset, i) => loss.isDatasetVisible(i) === (dataset.group === 'B' && dataset.series === 'loss')),
    'hiding an arm hides something else');
return verdict();
