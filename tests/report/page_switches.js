/* page_switches.js - what the buttons of the curves do. */
const chart = chartOf('Loss');
const press = (card, text) => [...card.querySelectorAll('button')].find((button) => button.textContent === text).click();
const log = (on) => expect((chart.scales.y.type === 'logarithmic') === on, 'y is ' + chart.scales.y.type);
press(cardOf('Loss'), 'Log');
log(true);
press(cardOf('Loss'), 'Log');
log(false);
const visible = () => chart.data.datasets.filter((dataset, i) => chart.isDatasetVisible(i)).map((dataset) => dataset.series);
press(cardOf('Loss'), 'loss local');
expect(visible().every((series) => series === 'loss') && visible().length === 2, 'the legend leaves ' + visible());
press(cardOf('Loss'), 'loss local');
// Smoothing: the mean of the first points is the first point; none leaves the points alone.
const slider = document.querySelector('input[type=range]');
const set = (value) => {
    slider.value = value;
    slider.dispatchEvent(new Event('input'));
};
const raw = chart.data.datasets.find((dataset) => dataset.raw).data;
const smooth = chart.data.datasets[0].data;
expect(Math.abs(smooth[0].y - raw[0].y) < 1e-9, 'smoothing does not begin at the first point');
const roughness = (points) => points.slice(1).reduce((sum, point, i) => sum + (isNaN(point.y - points[i].y) ? 0 : Math.abs(point.y - points[i].y)), 0);
expect(roughness(smooth) < 0.3 * roughness(raw), 'smoothing does not smooth');
set('0');
expect(chart.data.datasets.length === 2 && chart.data.datasets[0].data[7].y === raw[7].y, 'no smoothing is not the points themselves');
set('0.9');
press(document.querySelector('.controls'), 'Epochs');
expect(Math.abs(chart.scales.x.max - 16) < 0.5, 'epochs end at ' + chart.scales.x.max);
press(document.querySelector('.controls'), 'Steps');
expect(Math.abs(chart.scales.x.max - 4000) < 10, 'steps end at ' + chart.scales.x.max);
press(document.querySelector('#map'), 'Dots');
expect(typeof Chart.getChart(document.querySelector('#map canvas')).data.datasets[0].pointStyle === 'string', 'no dots');
press(document.querySelector('#map'), 'Thumbnails');
return verdict();
