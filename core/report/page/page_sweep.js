/* page_sweep.js - every setting that was tried: a table, and each setting's seeds and their mean. */

function sweepChart(sweep, metric) {
    const labels = sweep.cells.map((cell) => cell.values.join(' · '));
    const seeds = metric.cells.flatMap((cell, i) => (cell.seeds || []).map((one) => ({x: i - 0.12, y: one.value, text: 'Seed ' + one.seed + '  ' + score(metric.metric, one.value)})));
    const means = metric.cells.map((cell, i) => ({x: i, y: cell.mean, text: 'Mean  ' + score(metric.metric, cell.mean)}));
    const marked = (i) => i === metric.best || metric.cells[i].with_best;
    return {
        type: 'scatter',
        data: {datasets: [
            {label: 'seeds', data: seeds, pointRadius: 4, paint: (dataset) => {
                dataset.borderColor = dataset.backgroundColor = faint(ink.muted, 0.7);
            }},
            {label: 'means', data: means, pointRadius: 8, pointHoverRadius: 9, pointStyle: means.map((one, i) => marked(i) ? 'rectRot' : 'circle'), paint: (dataset) => {
                dataset.borderColor = dataset.backgroundColor = means.map((one, i) => seriesColour(marked(i) ? 0 : 1));
            }},
        ]},
        options: {
            interaction: {mode: 'nearest', intersect: false},
            scales: {
                x: {type: 'linear', min: -0.5, max: labels.length - 0.5, grid: {display: false}, afterBuildTicks: (axis) => {
                    axis.ticks = labels.map((label, i) => ({value: i}));
                }, ticks: {callback: (value) => labels[value], autoSkip: true, maxRotation: 60}},
                y: {grace: '8%', ticks: {maxTicksLimit: 6, callback: show}},
            },
            plugins: {zoom: {both: true}, tooltip: {callbacks: {
                title: (items) => items.length ? labels[Math.round(items[0].raw.x)] : '', label: (item) => ' ' + item.raw.text,
            }}},
        },
    };
}

function sweepTable(sweep, metric) {
    const rows = sweep.cells.map((cell, i) => {
        const got = metric.cells[i];
        const tag = i === metric.best ? el('span', {class: 'tag shown'}, 'highest mean') : got.with_best ? el('span', {class: 'tag open'}, 'not told apart from the best') : '';
        return [...cell.values.map((value) => el('code', null, asText(value))), String(got.n), score(metric.metric, got.mean), fixed(got.sd, 2), tag];
    });
    const keys = sweep.keys.map((key) => key.split('.').pop());
    return table([...keys, '#Seeds', '#Mean', '#Standard deviation', 'Verdict'], rows);
}

function sweepBlock(sweep) {
    const place = el('div');
    const draw = (index) => {
        const metric = sweep.metrics[index];
        destroyCharts(place);
        place.replaceChildren(chartCard({
            title: capital(inWords(metric.metric)) + (metric.source === 'probe' ? ' (probe)' : ''),
            note: sweep.keys.join(' · ') + '; diamonds are the best mean and those not told apart from it', config: sweepChart(sweep, metric),
        }).element, sweepTable(sweep, metric), ...noteLines([metric.words]));
    };
    const choice = keptPicker('sweep', 'Metric', sweep.metrics.map((one, i) => [String(i), capital(inWords(one.metric)) + ', ' + one.source]), draw);
    draw(choice.chosen);
    return [choice.element, place];
}
