/* page_paired.js - the numbers of tests/report/comparison_example.json, drawn and written. */
const lines = chartOf('Each seed, A to B');
expect(lines.data.datasets.length === 6, 'not a line for each seed, and the mean');
expect(lines.data.datasets[0].data.join() === '78.21,80.02', 'the first line is ' + lines.data.datasets[0].data);
const bar = chartOf('Difference B − A').data.datasets[1].data;
expect(bar[0].y === 1.37141 && bar[1].y === 1.99259, 'another interval');
expect(all('.verdict-line').map((line) => line.textContent).join() === 'B better,No difference shown', 'other verdicts');
expect(all('table.metrics tbody tr').length === 4, 'not a row for each metric');
expect(all('table.metrics tbody tr')[2].textContent.includes('−0.33'), 'no minus');
const text = document.querySelector('#comparison').textContent;
const cells = (row) => [...row.children].map((cell) => cell.textContent).join(' | ').replace(/\s/g, ' ');
const times = all('#comparison table').find((one) => one.textContent.includes('Value to reach'));
const reached = [...times.querySelectorAll('tbody tr')].map(cells);
expect(reached[2] === '2 | 71.64 % | 19.9 | 40 | 21.4 | 39', 'a time is ' + reached[2]);
expect(reached[3] === '3 | 70.88 % | 19.5 | 39 | – | 33', 'a time that nobody took is ' + reached[3]);
expect(reached[4] === '4 | 71.50 % | 20.0 | 40 | not reached | –', 'a target that was not reached is ' + reached[4]);
expect(text.includes('sampler.use'), 'what differs is not said');
// Another metric, by its choice.
const choice = document.querySelector('#comparison select');
choice.value = '2';
choice.dispatchEvent(new Event('change'));
expect(chartOf('Each seed, A to B').data.datasets[0].data.join() === '71.2,71.4', 'the choice changes nothing');
// A seed that an arm lacks is in none of its numbers.
choice.value = '3';
choice.dispatchEvent(new Event('change'));
const four = chartOf('Each seed, A to B').data.datasets;
expect(four.map((one) => one.label).join() === 'seed 0,seed 2,seed 3,seed 4,mean', 'the lines are ' + four.map((one) => one.label));
const [mean, other] = four[4].data;
expect(Math.abs(mean - 97.15) < 1e-9 && Math.abs(other - 97.475) < 1e-9, 'the means are ' + four[4].data);
expect(cardOf('Each seed, A to B').textContent.includes('without seed 1, where an arm has no value'), 'the seed is not told');
const points = chartOf('Difference B − A').data.datasets[0].data;
expect(points.length === 4 && points.every((one) => Math.abs(one.y) < 1), 'a difference is ' + points.map((one) => one.text));
const row = cells(all('table.metrics tbody tr')[3]);
expect(/97\.15 \| 97\.4[78] \| \+0\.3[23] /.test(row) && row.endsWith('not judged'), 'the row is ' + row);
// Runs of one arm have one colour, and one key of the legend.
const keys = all('.controls .key');
expect(keys.length === 2 && keys[0].textContent.startsWith('A'), 'other keys');
const loss = chartOf('Loss');
keys[0].click();
expect(loss.data.datasets.every((dataset, i) => loss.isDatasetVisible(i) === (dataset.group === 'B' && dataset.series === 'loss')),
    'hiding an arm hides something else');
return verdict();
