/* page_curves.js - what was logged while training, one chart a quantity, all runs over each other. A
 * run's colour is its arm's or its own; where one run is alone, colours tell the series of a chart. */

/* Where a curve goes: the first pattern that fits. Others get a chart of their own among `more`. */
const curvePlaces = [
    {part: 'training', pattern: /^train\/loss(_|$)/, title: () => 'Loss', smooth: true},
    {part: 'health', pattern: /^train\/(?:.*_)?(embedding_std)$/, title: () => 'Standard deviation of embeddings'},
    {part: 'health', pattern: /^train\/(?:.*_)?(embedding_rank)$/, title: () => 'Effective rank of embeddings'},
    {part: 'health', pattern: /^train\/(.*entropy.*)$/, title: (name) => capital(inWords(name)), smooth: true},
    {part: 'training', pattern: /^probe\/(.*)$/, title: (name) => capital(inWords(name)), probe: true},
    {part: 'training', pattern: /^train\/(grad_norm)$/, title: () => 'Gradient norm', smooth: true},
    {part: 'schedules', pattern: /^schedule\/.*(temperature|temp)$/, title: () => 'Temperature'},
    {part: 'schedules', pattern: /^schedule\/.*momentum$/, title: () => 'EMA momentum'},
    {part: 'schedules', pattern: /^schedule\/(.*)$/, title: (name) => capital(inWords(name))},
    {part: 'training', pattern: /^train\/(.*loss.*)$/, title: (name) => capital(inWords(name)), smooth: true},
    {part: 'training', pattern: /^train\/(.*)$/, title: (name) => capital(inWords(name)), smooth: true},
];
const notCurves = /(^|\/)(pixels|epoch|step)$|_best_epoch$/;

/* [{part, title, smooth, probe, curves: [{key, series, run: index, look, curve}]}...] */
function curveCharts(page, part) {
    const charts = new Map();
    page.runs.forEach((run, index) => {
        for (const [key, curve] of Object.entries(run.curves || {})) {
            const place = notCurves.test(key) ? null : curvePlaces.find((one) => one.pattern.test(key));
            if (!place || place.part !== part || !curve.step || curve.step.length === 0)
                continue;
            const title = place.title((key.match(place.pattern)[1] || ''));
            if (!charts.has(title))
                charts.set(title, {...place, order: curvePlaces.indexOf(place), title, curves: []});
            charts.get(title).curves.push({key, series: key.replace(/^[^/]*\//, ''), run: index, curve});
        }
    });
    return [...charts.values()].sort((a, b) => a.order - b.order);
}

/* A group keeps its colour when others come in between. */
const groupColours = new Map();

function groupColour(name) {
    if (!groupColours.has(name))
        groupColours.set(name, groupColours.size);
    return groupColours.get(name);
}

/* Runs of one arm are one group; other runs are one each. */
function runGroups(page) {
    const groups = [];
    page.runs.forEach((run, index) => {
        const name = armOf(run, page) || run.label;
        const group = groups.find((one) => one.name === name);
        if (group)
            group.runs.push(index);
        else
            groups.push({name, title: armTitle(page, name), colour: groupColour(name), runs: [index]});
    });
    return groups;
}

/* The arm or setting that a run belongs to: runs of comparisons and sweeps are called ARM/SEED. */
function armOf(run, page) {
    const found = page.comparison || page.sweep ? run.label.match(/^(.+)\/[^/]+$/) : null;
    return found ? found[1] : null;
}

function armTitle(page, name) {
    const arm = ((page.comparison || {}).arms || []).find((one) => one.name === name);
    return arm && arm.title && arm.title !== name ? name + ' · ' + arm.title : name;
}

/* The horizontal axes that all runs can be drawn over. */
const curveAxes = [['step', 'Steps'], ['epoch', 'Epochs'], ['pixels', 'Pixels']];

/* Step -> place on the axis, for one run. Epochs are fractions, by the last evaluation. */
function axisOf(run, axis) {
    const curves = run.curves || {};
    if (axis === 'pixels') {
        const counted = Object.values(curves).filter((curve) => curve.pixels && curve.pixels.length > 0);
        const [most] = counted.sort((a, b) => b.pixels.length - a.pixels.length);
        return most ? (step) => between(most.step, most.pixels, step) : null;
    }
    if (axis === 'epoch') {
        const probe = Object.entries(curves).find(([key]) => key.startsWith('probe/'));
        const curve = probe ? probe[1] : null;
        const last = curve && curve.epoch ? curve.step.length - 1 : -1;
        return last >= 0 && curve.epoch[last] > 0 ? (step) => step * curve.epoch[last] / curve.step[last] : null;
    }
    return (step) => step;
}

/* A value between the known ones, on the straight line. */
function between(xs, ys, x) {
    let low = 0;
    let high = xs.length - 1;
    if (high < 1)
        return ys[0];
    while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (xs[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    return ys[low] + (ys[high] - ys[low]) * (x - xs[low]) / (xs[high] - xs[low]);
}

function curvePoints(curve, place) {
    return curve.step.map((step, i) => ({x: place(step), y: isNumber(curve.value[i]) ? curve.value[i] : NaN}));
}

/* Exponential mean that does not start at zero. */
function smoothed(points, weight) {
    let sum = 0;
    let mass = 0;
    return points.map(({x, y}) => {
        if (isNaN(y))
            return {x, y};
        sum = weight * sum + (1 - weight) * y;
        mass = weight * mass + (1 - weight);
        return {x, y: sum / mass};
    });
}

/* What the reader has chosen for all curves. */
const curveView = {axis: 'step', smoothing: 0.9, hiddenGroups: new Set()};

function curveDatasets(page, chart) {
    const groups = runGroups(page);
    const names = [...new Set(chart.curves.map((one) => one.series))];
    const alone = page.runs.length === 1;
    return chart.curves.flatMap((one) => {
        const run = page.runs[one.run];
        const group = groups.find((each) => each.runs.includes(one.run));
        const series = names.indexOf(one.series);
        const look = {colour: alone ? series : group.colour, dash: alone ? 0 : series};
        const place = axisOf(run, curveView.axis) || ((step) => step);
        const points = curvePoints(one.curve, place);
        const label = (alone ? '' : run.label) + (alone || names.length > 1 ? (alone ? '' : ' · ') + inWords(one.series) : '');
        const smooth = chart.smooth && curveView.smoothing > 0 && points.length > 20;
        const line = {
            label, look, group: group.name, series: one.series, parsing: false, borderWidth: 2,
            borderDash: [[], [6, 4], [2, 3]][look.dash % 3], pointRadius: points.length > 60 ? 0 : 3, pointHoverRadius: 5,
            pointHitRadius: 8, data: smooth ? smoothed(points, curveView.smoothing) : points, order: 0,
            paint: (dataset) => {
                dataset.borderColor = dataset.backgroundColor = seriesColour(look.colour);
            },
        };
        const raw = {
            ...line, raw: true, data: points, borderWidth: 1, pointRadius: 0, pointHoverRadius: 0, order: 1,
            paint: (dataset) => {
                dataset.borderColor = dataset.backgroundColor = faint(seriesColour(look.colour), 0.3);
            },
        };
        return smooth ? [line, raw] : [line];
    });
}

function curveConfig(page, chart) {
    const axisName = () => curveAxes.find(([name]) => name === curveView.axis)[1].toLowerCase();
    const unit = chart.probe && chart.curves.every((one) => isPercentage(one.key)) ? ' %' : '';
    return {
        type: 'line',
        data: {datasets: curveDatasets(page, chart)},
        options: {
            parsing: false,
            normalized: true,
            interaction: {mode: 'nearest', axis: 'x', intersect: false},
            scales: {
                x: {type: 'linear', bounds: 'data', beginAtZero: true, ticks: {maxRotation: 0, maxTicksLimit: 7, includeBounds: false, callback: show}},
                y: {type: 'linear', ticks: {maxTicksLimit: 6, callback: (value) => show(value) + unit}, grace: chart.probe ? '5%' : 0},
            },
            plugins: {
                decimation: {enabled: true, algorithm: 'min-max', threshold: 3000},
                mark: {levels: chart.levels || []},
                tooltip: {
                    filter: (item) => !item.dataset.raw,
                    itemSort: (a, b) => b.parsed.y - a.parsed.y,
                    callbacks: {
                        title: (items) => items.length ? capital(axisName()) + ' ' + show(items[0].parsed.x) : '',
                        label: (item) => ' ' + item.dataset.label + '  ' + show(item.parsed.y) + unit,
                        labelPointStyle: () => ({pointStyle: 'line', rotation: 0}),
                    },
                },
            },
        },
    };
}

/* Where an entropy means collapse: at ln K when all outputs are alike, at 0 when one has everything.
 * Of other entropies than these nobody has said. */
const entropySigns = [
    {pattern: /^train\/(teacher_entropy|code_entropy)$/, levels: (counts) => counts.map((count) => ({value: Math.log(count), text: 'ln ' + count}))},
    {pattern: /^train\/(teacher_marginal_entropy|prototype_entropy)$/, levels: () => [{value: 0, text: 'one for all'}]},
];

/* Signs of collapse, and the values before training. */
function chartLevels(page, chart) {
    const levels = [];
    const sign = entropySigns.find((one) => one.pattern.test(chart.curves[0].key));
    if (sign)
        levels.push(...sign.levels([...new Set(page.runs.map((run) => entropyClasses(run)).filter(isNumber))]));
    if (chart.probe && page.runs.length === 1) {
        for (const result of page.runs[0].results || []) {
            if (['untrained', 'raw_pixels'].includes(result.kind) && result.metric === chart.curves[0].series)
                levels.push({value: result.value, text: inWords(result.kind)});
        }
    }
    return levels;
}

/* K of the method: how many prototypes or outputs its softmax has. */
function entropyClasses(run) {
    const config = tomlValues(run.config || '');
    for (const key of ['method.prototypes', 'method.out_dim']) {
        if (Number(config[key]) > 1)
            return Number(config[key]);
    }
    return NaN;
}

/* Scheduled values that never change need a line, not a chart. */
function isConstant(chart) {
    const [first] = chart.curves[0].curve.value;
    return chart.part === 'schedules' && chart.curves.every((one) => one.curve.value.every((value) => value === first));
}

function curveCard(page, chart) {
    const full = {...chart, levels: chartLevels(page, chart)};
    const config = curveConfig(page, full);
    const names = [...new Set(config.data.datasets.map((dataset) => dataset.series))];
    const looks = names.map((name) => config.data.datasets.find((dataset) => dataset.series === name).look);
    // Of many runs the first series alone, until the reader asks for its parts.
    const hidden = new Set(page.runs.length > 1 ? names.slice(1) : []);
    const applyHidden = () => {
        made.chart.data.datasets.forEach((dataset, i) => made.chart.setDatasetVisibility(i,
            !hidden.has(dataset.series) && !curveView.hiddenGroups.has(dataset.group)));
        made.chart.update('none');
    };
    const legend = names.length < 2 ? [] : names.map((name, i) => legendButton(inWords(name), looks[i], (shown) => {
        if (shown)
            hidden.delete(name);
        else
            hidden.add(name);
        applyHidden();
    }, hidden.has(name)));
    const positive = chart.curves.every((one) => one.curve.value.every((value) => !isNumber(value) || value > 0));
    const made = chartCard({
        title: chart.title, config, legend, tools: positive && !chart.probe ? logSwitch(() => made.chart) : null,
    });
    applyHidden();
    return {
        element: made.element,
        /* New data or another view; the zoom stays while the axis does. */
        update(newPage, newChart, axisChanged) {
            const datasets = curveDatasets(newPage, newChart);
            made.chart.data.datasets = datasets;
            made.chart.options.plugins.mark.levels = chartLevels(newPage, newChart);
            datasets.forEach((dataset) => dataset.paint(dataset));
            applyHidden();
            if (axisChanged)
                resetZoom(made.chart);
        },
    };
}

/* What a card's keys and colours depend on. */
function cardLooks(page, chart) {
    return JSON.stringify([page.runs.length === 1, [...new Set(chart.curves.map((one) => one.series))]]);
}

/* All charts of a part, and how they follow new data. */
function curveGrid(part, page) {
    const cards = new Map();
    const constants = el('p', {class: 'note'});
    const grid = el('div', {class: 'grid'});
    const refresh = (newPage, axisChanged) => {
        const charts = curveCharts(newPage, part);
        for (const chart of charts.filter((one) => !isConstant(one))) {
            const old = cards.get(chart.title);
            const looks = cardLooks(newPage, chart);
            if (old && old.looks === looks) {
                old.update(newPage, chart, axisChanged);
                continue;
            }
            const card = {looks, ...curveCard(newPage, chart)};
            cards.set(chart.title, card);
            if (old) {
                destroyCharts(old.element);
                old.element.replaceWith(card.element);
            } else {
                grid.append(card.element);
            }
        }
        const still = charts.filter((one) => isConstant(one) && !cards.has(one.title));
        constants.textContent = still.length === 0 ? '' : 'Held constant: ' + still.flatMap((chart) =>
            [...new Set(chart.curves.map((one) => inWords(one.series) + ' ' + show(one.curve.value[0])))]).join(', ') + '.';
    };
    refresh(page, false);
    return {elements: [grid, constants], refresh};
}

function axesOf(page) {
    return curveAxes.filter(([name]) => page.runs.every((run) => axisOf(run, name)));
}

/* Runs, axis and smoothing: what holds for all charts of curves, as it was chosen before. */
function curveControls(page, changed) {
    const groups = runGroups(page);
    const keys = groups.length < 2 ? [] : groups.map((group) => legendButton(group.title, {colour: group.colour}, (shown) => {
        if (shown)
            curveView.hiddenGroups.delete(group.name);
        else
            curveView.hiddenGroups.add(group.name);
        changed(false);
    }, curveView.hiddenGroups.has(group.name)));
    const axes = axesOf(page);
    if (!axes.some(([name]) => name === curveView.axis)) {
        curveView.axis = 'step';
        changed(true);
    }
    const shown = el('output', {class: 'value'}, curveView.smoothing.toFixed(2));
    const slider = el('input', {
        type: 'range', min: '0', max: '0.99', step: '0.01', value: String(curveView.smoothing), oninput: (event) => {
            curveView.smoothing = Number(event.target.value);
            shown.textContent = curveView.smoothing.toFixed(2);
            changed(false);
        },
    });
    return el('div', {class: 'controls'},
        keys.length ? el('div', {class: 'legend', role: 'group', 'aria-label': 'Runs'}, keys) : null,
        axes.length > 1 ? segments('Horizontal axis', axes, curveView.axis, (axis) => {
            curveView.axis = axis;
            changed(true);
        }) : null,
        el('label', {class: 'picker'}, el('span', null, 'Smoothing'), slider, shown));
}
