/* page_views.js - the contact sheet of the sampler's views, and its numbers. */

function viewSheet(sheet) {
    const frame = el('div', {class: 'sheet', tabindex: '0', role: 'region', 'aria-label': 'Contact sheet'},
        el('img', {src: sheet, alt: 'Contact sheet: source images with the boxes of their views, and the views'}));
    return [segments('Size', [['fit', 'Fit'], ['full', 'Full size']], 'fit', (size) => frame.classList.toggle('full', size === 'full')), frame];
}

function isHistogram(value) {
    return value && typeof value === 'object' && Array.isArray(value.counts) && (Array.isArray(value.edges) || isNumber(value.low));
}

function histogramChart(histogram) {
    const {counts} = histogram;
    const edges = histogram.edges || counts.map((count, i) => histogram.low + (histogram.high - histogram.low) * i / counts.length).concat(histogram.high);
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    return {
        type: 'bar',
        data: {
            labels: counts.map((count, i) => show(edges[i]) + ' to ' + show(edges[i + 1])),
            datasets: [{label: 'share', data: counts.map((count) => 100 * count / total), barPercentage: 1, categoryPercentage: 0.94, paint: inkOf(0)}],
        },
        options: {
            interaction: {mode: 'index', intersect: false},
            scales: {
                x: {type: 'category', grid: {display: false}, ticks: {maxTicksLimit: 6, maxRotation: 0, callback: (value, i) => show(edges[i])}},
                y: {beginAtZero: true, ticks: {maxTicksLimit: 5, callback: (value) => show(value) + ' %'}},
            },
            plugins: {tooltip: {callbacks: {label: (item) => ' ' + fixed(item.parsed.y, 1) + ' %'}}},
        },
    };
}

/* Numbers of any form: single ones as facts, lists of objects as tables, histograms as charts. */
function viewNumbers(numbers) {
    const charts = [];
    const rest = (value, name) => {
        if (isHistogram(value)) {
            charts.push([name, value]);
            return undefined;
        }
        if (!value || typeof value !== 'object' || Array.isArray(value))
            return isNumber(value) ? show(value) : value;
        return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, rest(one, name ? name + ' ' + key : key)])
            .filter(([, one]) => one !== undefined));
    };
    const rows = [];
    const tables = [];
    valueRows(rest(numbers, ''), '', rows, tables);
    return [
        rows.length ? facts(rows) : null,
        ...tables.map(([name, objects]) => [name ? el('h3', null, capital(inWords(name))) : null, objectTable(objects)]).flat(),
        charts.length ? el('div', {class: 'grid'}, charts.map(([name, histogram]) =>
            chartCard({title: capital(inWords(name)), config: histogramChart(histogram), size: 'low'}).element)) : null,
    ];
}
