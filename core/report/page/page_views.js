/* page_views.js - the contact sheet of the sampler's views, and its numbers. */

function viewSheet(sheet) {
    const frame = el('div', {class: 'sheet', tabindex: '0', role: 'region', 'aria-label': 'Contact sheet'},
        el('img', {src: sheet, alt: 'Contact sheet: source images with the boxes of their views, and the views'}));
    return [segments('Size', [['fit', 'Fit'], ['full', 'Full size']], 'fit', (size) => frame.classList.toggle('full', size === 'full')), frame];
}

/* Crop scale and the like: names of the keys that the command's JSON has. */
const meanNames = {
    global_crop_scale: 'Crop scale, global', local_crop_scale: 'Crop scale, local', crop_ratio: 'CS_l / CS_g',
    global_pixel_scale: 'Pixel scale, global, by area', local_pixel_scale: 'Pixel scale, local, by area',
    pixel_ratio_area: 'PS_l / PS_g, by area', pixel_ratio_length: 'PS_l / PS_g, by length',
    overlap: 'Overlap, local in global', apart: 'Local and global apart', global_union: 'Global over global, IoU',
    global_up_sampled: 'Up-sampled, global', local_up_sampled: 'Up-sampled, local', pixels: 'Pixels per image',
    crop_scale: 'Crop scale', pixel_scale_area: 'Pixel scale, by area', pixel_scale_length: 'Pixel scale, by length',
};

function meanName(key) {
    return meanNames[key] || capital(inWords(key));
}

/* Each sampler's means beside those of the published recipes. */
function meanTable(samplers, published) {
    const columns = [...samplers, ...published];
    const keys = [...new Set(columns.flatMap((one) => Object.keys(one.means || {})))];
    return table(['Mean', ...columns.map((one, i) => '#' + (one.name || 'sampler') + (i < samplers.length ? '' : ' (published)'))],
        keys.map((key) => [meanName(key), ...columns.map((one) => show((one.means || {})[key]))]));
}

function groupTable(sampler) {
    return table(['Views', '#Count', '#Pixels', '#Crop scale', '#Pixel scale, area', '#Pixel scale, length', '#Up-sampled'],
        sampler.groups.map((one) => [one.name, String(one.count), one.width + ' × ' + one.height, show(one.crop_scale),
            show(one.pixel_scale_area), show(one.pixel_scale_length), show(one.up_sampled)]));
}

/* One chart of a quantity: the shares of all its series, which have the same bins. */
function histogramChart(series) {
    const {edges} = series[0];
    return {
        type: 'bar',
        data: {
            labels: edges.slice(1).map((edge, i) => show(edges[i]) + ' to ' + show(edge)),
            datasets: series.map((one, i) => {
                const total = one.counts.reduce((sum, count) => sum + count, 0) || 1;
                return {
                    label: one.label, look: {colour: i}, data: one.counts.map((count) => 100 * count / total), barPercentage: 1,
                    categoryPercentage: 0.9, grouped: false, borderWidth: 1, paint: (dataset) => {
                        dataset.borderColor = seriesColour(i);
                        dataset.backgroundColor = faint(seriesColour(i), 0.5);
                    },
                };
            }),
        },
        options: {
            interaction: {mode: 'index', intersect: false},
            scales: {
                x: {type: 'category', grid: {display: false}, ticks: {maxTicksLimit: 6, maxRotation: 0, callback: (value, i) => show(edges[i])}},
                y: {beginAtZero: true, ticks: {maxTicksLimit: 5, callback: (value) => show(value) + ' %'}},
            },
            plugins: {tooltip: {callbacks: {label: (item) => ' ' + item.dataset.label + '  ' + fixed(item.parsed.y, 1) + ' %'}}},
        },
    };
}

function histogramCards(samplers) {
    const kinds = [...new Set(samplers.flatMap((one) => Object.keys(one.histograms || {})))];
    return kinds.map((kind) => {
        const series = samplers.flatMap((one) => [(one.histograms || {})[kind] || []].flat().map((histogram) =>
            ({...histogram, label: (samplers.length > 1 ? one.name + ' ' : '') + histogram.series})))
            .filter((one) => (one.counts || []).some((count) => count > 0));
        const alike = series.filter((one) => one.edges.join() === series[0].edges.join());
        if (alike.length === 0)
            return null;
        const legend = alike.map((one, i) => legendButton(one.label, {colour: i}, (shown) => {
            made.chart.setDatasetVisibility(i, shown);
            made.chart.update('none');
        }));
        const made = chartCard({title: meanName(kind), config: histogramChart(alike), legend, size: 'low'});
        return made.element;
    }).filter(Boolean);
}

/* The numbers of `wisp views --json`, of one sampler or of several. */
function viewNumbers(numbers) {
    const samplers = numbers.samplers || [numbers];
    return [
        ...samplers.map((one) => one.says ? el('p', {class: 'note'}, (one.name ? one.name + ': ' : '') + one.says) : null),
        meanTable(samplers, numbers.published || []),
        ...samplers.filter((one) => (one.groups || []).length).map((one) => groupTable(one)),
        el('div', {class: 'grid'}, histogramCards(samplers)),
    ];
}
