/* page_sections.js SECTIONS CHARTS - exactly these sections are there, in this order, and so many charts. */
const [wanted, nCharts] = arguments;
expect(all('main > section').map((section) => section.id).join(' ') === wanted,
    'the sections are ' + all('main > section').map((section) => section.id).join(' '));
expect(all('#contents a').length === wanted.split(' ').length, 'the contents do not name all sections');
const charts = Object.values(Chart.instances);
expect(charts.length === nCharts, 'there are ' + charts.length + ' charts');
for (const chart of charts)
    expect(chart.width > 100 && chart.height > 50, 'a chart has no size');
for (const section of all('main > section'))
    expect(section.querySelector('.body').childElementCount > 0 && section.clientHeight > 40, section.id + ' is empty');
const main = document.querySelector('main').textContent;
expect(!/undefined|NaN|\[object/.test(main), 'there is undefined, NaN or an object in the text: ' +
    (main.match(/.{0,40}(undefined|NaN|\[object).{0,40}/) || [''])[0]);
expect(performance.getEntriesByType('resource').every((entry) => entry.name.startsWith('data:')), 'it loads something');
return verdict();
