/* page_redrawn.js - the page of tests/report/comparison_example.json is drawn again with other data. */
const page = () => JSON.parse(document.getElementById('page-data').textContent);
const choose = (section, value) => {
    const select = document.querySelector('#' + section + ' select');
    select.value = value;
    select.dispatchEvent(new Event('change'));
};
const chosen = (section) => {
    const select = document.querySelector('#' + section + ' select');
    return select.options[select.selectedIndex].textContent;
};

// The run and the metric that the reader looks at.
choose('map', 'B/0');
choose('comparison', '2');
const metric = chosen('comparison');
await drawn();
const other = page();
other.runs[0].pictures.map.method = 'another map';
other.comparison.metrics.unshift({...other.comparison.metrics[1], metric: 'another'});
await give(other);
expect(chosen('map') === 'B/0', 'the map is now that of ' + chosen('map'));
expect(cardOf('t-SNE of 100 test embeddings'), 'another run than the chosen one is drawn');
expect(chosen('comparison') === metric, 'the metric is now ' + chosen('comparison'));
expect(chartOf('Each seed, A to B').data.datasets[0].data.join() === '71.2,71.4', 'another metric than the chosen one is drawn');

// An arm that sorts between the others: each key has the colour of its lines, and B keeps its own.
const key = (name) => all('.controls .key').find((one) => one.textContent.startsWith(name));
const swatch = (name) => getComputedStyle(key(name).querySelector('.swatch')).color + key(name).querySelector('.swatch').className;
const line = (name) => chartOf('Loss').data.datasets.find((one) => one.group === name).borderColor;
const before = [swatch('B'), line('B')].join();
key('A').click();
const more = page();
more.runs.splice(2, 0, {...page().runs[0], label: 'AB/0'});
await give(more);
expect(all('.controls').length === 1, 'there are ' + all('.controls').length + ' rows of controls');
expect(all('.controls .key').map((one) => one.textContent.split(' ')[0]).join() === 'A,AB,B', 'the keys are ' + all('.controls .key').map((one) => one.textContent));
expect([swatch('B'), line('B')].join() === before, 'B has another colour: ' + [swatch('B'), line('B')] + ', not ' + before);
expect(new Set(['A', 'AB', 'B'].map(line)).size === 3, 'two arms have one colour');
expect(key('A').getAttribute('aria-pressed') === 'false', 'an arm that was left out is back');
const loss = chartOf('Loss');
key('AB').click();
expect(loss.data.datasets.every((one, i) => loss.isDatasetVisible(i) === (one.group === 'B' && one.series === 'loss')),
    'a key hides another arm');

// Numbers that cannot be drawn are no reason to say that the server has gone, and may be mended.
more.comparison = {metrics: [{pairs: [{a: 1, b: 2}]}]};
await give(more);
expect(document.querySelector('#live.live'), 'it says ' + document.querySelector('#live').textContent);
expect(/cannot be drawn/.test(document.querySelector('#comparison .warning').textContent), 'it does not say what cannot be drawn');
await give(other);
expect(!document.querySelector('#comparison .warning') && chartOf('Each seed, A to B'), 'what is mended is not drawn');
return verdict();
