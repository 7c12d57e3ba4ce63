/* page_card.js - a chart in its frame: title, legend, tools, and what is drawn over every chart. */

/* A thin line where the tooltip is, and dashed levels: options.plugins.mark.levels, [{value, text}]. */
const markPlugin = {
    id: 'mark',
    defaults: {levels: []},

    beforeDatasetsDraw(chart, args, options) {
        const {left, right, top, bottom} = chart.chartArea;
        const context = chart.ctx;
        context.save();
        context.strokeStyle = context.fillStyle = ink.muted;
        context.font = '11px ' + ink.font;
        context.textAlign = 'right';
        const highest = Math.max(...options.levels.map((level) => level.value));
        for (const level of options.levels) {
            const y = chart.scales.y.getPixelForValue(level.value);
            if (!(y >= top && y <= bottom))
                continue;
            context.setLineDash([6, 4]);
            strokeLine(context, left, y, right, y);
            context.fillText(level.text, right - 4, level.value === highest && y - top > 16 ? y - 5 : y + 13);
        }
        const [item] = chart.tooltip ? chart.tooltip.getActiveElements() : [];
        if (item && !chart.$zoom.both && chart.scales.x.type !== 'category') {
            context.setLineDash([]);
            context.globalAlpha = 0.4;
            strokeLine(context, item.element.x, top, item.element.x, bottom);
        }
        context.restore();
    },
};

function strokeLine(context, x0, y0, x1, y1) {
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
}

/* A button of a legend. `look`: {colour: index, dash}. */
function legendButton(text, look, ontoggle, off) {
    const kind = 'swatch series-' + look.colour % nColours + (look.dash ? ' dashed' : '');
    const swatch = el('span', {class: kind, 'aria-hidden': 'true'});
    const button = el('button', {
        type: 'button', class: 'key', 'aria-pressed': String(!off), onclick: () => {
            const shown = button.getAttribute('aria-pressed') !== 'true';
            button.setAttribute('aria-pressed', String(shown));
            ontoggle(shown);
        },
    }, swatch, text);
    return button;
}

/* chartCard({title, note, config, tools, legend, height}): {element, chart}. `config` is Chart.js's. */
function chartCard(parts) {
    const canvas = el('canvas', {tabindex: '0', role: 'img', 'aria-label': parts.title + (parts.note ? ': ' + parts.note : '')});
    const reset = el('button', {type: 'button', class: 'tool reset', hidden: true, onclick: () => resetZoom(chart)}, 'Reset zoom');
    const tools = el('div', {class: 'tools'}, reset, parts.tools || []);
    const plot = el('div', {class: 'plot ' + (parts.size || '')}, canvas);
    const element = el('figure', {class: 'card'},
        el('figcaption', null, el('h3', null, parts.title), tools),
        parts.note ? el('p', {class: 'note'}, parts.note) : null, el('div', {class: 'legend'}, parts.legend || []), plot);
    for (const dataset of parts.config.data.datasets)
        dataset.paint(dataset);
    const chart = new Chart(canvas, parts.config);
    canvas.addEventListener('zoomchange', () => {
        reset.hidden = !isZoomed(chart);
    });
    return {element, chart, plot};
}

/* A switch between a linear and a logarithmic y. */
function logSwitch(getChart) {
    return el('button', {
        type: 'button', class: 'tool', 'aria-pressed': 'false', onclick: (event) => {
            const chart = getChart();
            const log = chart.options.scales.y.type !== 'logarithmic';
            chart.options.scales.y.type = log ? 'logarithmic' : 'linear';
            event.currentTarget.setAttribute('aria-pressed', String(log));
            chart.update('none');
        },
    }, 'Log');
}
