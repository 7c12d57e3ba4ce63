/* page_theme.js - light and dark. All colours are in page.css; what charts need of them is read here,
 * once for each theme. */

const pointShapes = ['circle', 'triangle', 'rect', 'rectRot', 'star'];
const nColours = 8;
const ink = {series: []};

function readInk() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ['text', 'muted', 'line', 'grid', 'card', 'font'])
        ink[name] = style.getPropertyValue('--' + name).trim();
    for (let i = 0; i < nColours; i++)
        ink.series[i] = style.getPropertyValue('--series-' + i).trim();
}

function seriesColour(index) {
    return ink.series[index % nColours];
}

/* The same colour, let through: for what stands behind. */
function faint(colour, share) {
    return colour + Math.round(255 * share).toString(16).padStart(2, '0');
}

function setChartDefaults() {
    applyTheme(chosenTheme);
    const defaults = Chart.defaults;
    defaults.animation = false;
    defaults.maintainAspectRatio = false;
    defaults.font.family = ink.font;
    defaults.color = () => ink.muted;
    defaults.scale.grid.color = () => ink.grid;
    defaults.scale.grid.borderColor = () => ink.line;
    defaults.plugins.legend.display = false;
    const tooltip = defaults.plugins.tooltip;
    tooltip.backgroundColor = () => ink.text;
    tooltip.titleColor = tooltip.bodyColor = tooltip.footerColor = () => ink.card;
    tooltip.padding = 10;
    tooltip.boxPadding = 4;
    tooltip.usePointStyle = true;
    Chart.register(zoomPlugin, markPlugin);
}

/* A data set of a chart says by its function `paint` which colours it has. */
function paint(chart) {
    for (const dataset of chart.data.datasets)
        dataset.paint(dataset);
}

function repaintAll() {
    readInk();
    for (const chart of Object.values(Chart.instances)) {
        paint(chart);
        chart.update('none');
    }
}

/* 'system', 'light' or 'dark' */
let chosenTheme = 'system';

function applyTheme(theme) {
    const dark = theme === 'system' ? matchMedia('(prefers-color-scheme: dark)').matches : theme === 'dark';
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
    repaintAll();
}

function themeSwitch() {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => applyTheme(chosenTheme));
    // Paper is white, whatever the screen is.
    addEventListener('beforeprint', () => applyTheme('light'));
    addEventListener('afterprint', () => applyTheme(chosenTheme));
    return segments('Colours', [['system', 'Auto'], ['light', 'Light'], ['dark', 'Dark']], chosenTheme, (theme) => {
        chosenTheme = theme;
        applyTheme(theme);
    });
}
