/* page_comparison.js - two arms or more, seed by seed: the paired plot, all metrics, what differs. */

function metricTitle(one, comparison) {
    const several = (comparison.arms || []).length > 2 ? ', ' + one.arm + ' against ' + one.against : '';
    return capital(inWords(one.metric)) + (one.source === 'probe' ? ' (probe)' : '') + ', ' + one.basis + several;
}

/* The seeds that both arms have a value of: what the difference and its test are about. */
function wholePairs(one) {
    return (one.pairs || []).filter((pair) => isNumber(pair.a) && isNumber(pair.b));
}

function lackingSeeds(one) {
    const seeds = (one.pairs || []).filter((pair) => !isNumber(pair.a) || !isNumber(pair.b)).map((pair) => pair.seed);
    return seeds.length ? 'without ' + (seeds.length > 1 ? 'seeds ' : 'seed ') + seeds.join(', ') + ', where an arm has no value' : '';
}

function intervalText(one) {
    const unit = isPercentage(one.metric) ? ' points' : '';
    const decimals = decimalsOf(one);
    return fixed(one.mean, decimals, true) + unit + '\u2002[' + fixed(one.low, decimals, true) + ', ' + fixed(one.high, decimals, true) + ']';
}

function decimalsOf(one) {
    if (isPercentage(one.metric))
        return 2;
    const size = Math.max(...wholePairs(one).flatMap((pair) => [Math.abs(pair.a), Math.abs(pair.b)]), 1e-6);
    return Math.min(Math.max(3 - Math.floor(Math.log10(size)), 0), 8);
}

function average(values) {
    const numbers = values.filter(isNumber);
    return numbers.length ? numbers.reduce((sum, value) => sum + value, 0) / numbers.length : NaN;
}

function inkOf(colour, share) {
    return (dataset) => {
        dataset.borderColor = share ? faint(seriesColour(colour), share) : seriesColour(colour);
        dataset.backgroundColor = dataset.borderColor;
    };
}

/* One line a seed, from A to B, and their means. */
function pairChart(one) {
    const pairs = wholePairs(one);
    const lines = pairs.map((pair) => ({
        label: 'seed ' + pair.seed, data: [pair.a, pair.b], borderWidth: 1.5, pointRadius: 4, pointHoverRadius: 6,
        paint: (dataset) => inkOf(pair.b >= pair.a ? 0 : 1)(dataset), borderDash: pair.b >= pair.a ? [] : [5, 4],
    }));
    const mean = {
        label: 'mean', data: [average(pairs.map((pair) => pair.a)), average(pairs.map((pair) => pair.b))],
        borderWidth: 5, pointRadius: 7, order: 1, paint: (dataset) => {
            dataset.borderColor = dataset.backgroundColor = faint(ink.muted, 0.45);
        },
    };
    return {
        type: 'line',
        data: {labels: [one.against, one.arm], datasets: [...lines, mean]},
        options: {
            interaction: {mode: 'nearest', intersect: false},
            scales: {x: {type: 'category', offset: true}, y: {grace: '8%', ticks: {maxTicksLimit: 6, callback: show}}},
            plugins: {tooltip: {callbacks: {
                title: (items) => items.length ? capital(items[0].dataset.label) : '',
                label: (item) => ' ' + item.label + '  ' + fixed(item.parsed.y, decimalsOf(one)),
            }}},
        },
    };
}

/* The difference of each seed, their mean and its interval. */
function differenceChart(one) {
    const point = (x, y, text) => ({x, y, text});
    const decimals = decimalsOf(one);
    const pairs = wholePairs(one);
    const seeds = pairs.map((pair, i) => point(-0.35 + 0.2 * (pairs.length > 1 ? i / (pairs.length - 1) : 0.5), pair.b - pair.a,
        'Seed ' + pair.seed + ': ' + fixed(pair.b - pair.a, decimals, true)));
    const told = 'Mean ' + intervalText(one);
    return {
        type: 'scatter',
        data: {datasets: [
            {data: seeds, pointRadius: 5, pointHoverRadius: 7, pointStyle: seeds.map((one) => one.y < 0 ? 'triangle' : 'circle'), paint: (dataset) => {
                dataset.backgroundColor = dataset.borderColor = seeds.map((one) => seriesColour(one.y < 0 ? 1 : 0));
            }},
            {data: [point(0.2, one.low, told), point(0.2, one.high, told)], showLine: true, borderWidth: 3, pointStyle: 'line', pointRadius: 10, paint: (dataset) => {
                dataset.borderColor = dataset.backgroundColor = ink.text;
            }},
            {data: [point(0.2, one.mean, told)], pointRadius: 7, pointHoverRadius: 8, pointStyle: 'rectRot', paint: (dataset) => {
                dataset.borderColor = dataset.backgroundColor = ink.text;
            }},
        ]},
        options: {
            interaction: {mode: 'nearest', intersect: false},
            scales: {
                x: {type: 'linear', min: -0.6, max: 0.6, ticks: {display: false}, grid: {display: false}},
                y: {grace: '12%', suggestedMin: 0, suggestedMax: 0, ticks: {maxTicksLimit: 6, callback: show}},
            },
            plugins: {
                zoom: {both: true},
                mark: {levels: [{value: 0, text: 'no difference'}]},
                tooltip: {callbacks: {label: (item) => ' ' + item.raw.text}},
            },
        },
    };
}

function pairedPlots(one, comparison) {
    const unit = isPercentage(one.metric) ? ', in %' : '';
    return el('div', {class: 'grid'},
        chartCard({title: 'Each seed, ' + one.against + ' to ' + one.arm, note: [metricTitle(one, comparison) + unit, lackingSeeds(one)].filter(Boolean).join('; '), config: pairChart(one)}).element,
        chartCard({
            title: 'Difference ' + one.arm + ' − ' + one.against, config: differenceChart(one),
            note: 'Points are seeds; the bar is the ' + show(100 * (1 - (comparison.level || 0.05))) + ' % interval of their mean',
        }).element);
}

function metricTable(comparison) {
    const rows = comparison.metrics.map((one) => {
        const decimals = decimalsOf(one);
        return [metricTitle(one, comparison), fixed(average(wholePairs(one).map((pair) => pair.a)), decimals),
            fixed(average(wholePairs(one).map((pair) => pair.b)), decimals), fixed(one.mean, decimals, true),
            '[' + fixed(one.low, decimals, true) + ', ' + fixed(one.high, decimals, true) + ']',
            chance(one.p_t), chance(one.p_flip), chance(one.p_adjusted), seesNothing(one) ? '> 100' : fixed(one.detectable, decimals), verdictTag(one.verdict)];
    });
    const only = (names) => new Set(names).size === 1 ? ' ' + names[0] : null;
    const [against, arm] = [comparison.metrics.map((one) => one.against), comparison.metrics.map((one) => one.arm)].map(only);
    return table(['Metric', '#Mean' + (against || ' of the reference'), '#Mean' + (arm || ' of the arm'), '#Difference', '#Interval', '#p, paired t', '#p, sign flip',
        '#p, adjusted', '#Could have seen', 'Verdict'], rows, {class: 'metrics'});
}

/* Minutes are not known of every evaluation that was good enough. */
function reachedCells(minutes, epoch) {
    return isNumber(epoch) ? [fixed(minutes, 1), String(epoch)] : ['not reached', '–'];
}

/* Minutes and epochs until an arm reached the reference's final value. */
function timeTables(time) {
    return time.map((one) => [el('p', {class: 'note'}, capital(inWords(one.metric)) + ': ' + (one.words || '')),
        table(['Seed', '#Value to reach', '#Minutes ' + one.against, '#Epoch ' + one.against, '#Minutes ' + one.arm, '#Epoch ' + one.arm],
            (one.pairs || []).map((pair) => [String(pair.seed), score(one.metric, pair.target),
                ...reachedCells(pair.a, pair.a_epoch), ...reachedCells(pair.b, pair.b_epoch)]))]).flat();
}

function noteLines(texts) {
    return texts.filter(Boolean).map((text) => el('p', {class: 'note'}, text + (/[.!?]$/.test(text) ? '' : '.')));
}

function differenceTable(comparison) {
    const arms = comparison.arms || [];
    return table(['Key', ...arms.map((arm) => arm.name)], comparison.differences.map((one) =>
        [codeCell(one.key), ...one.values.map(codeCell)]));
}

function comparisonBlock(comparison) {
    const metrics = (comparison.metrics || []).filter((one) => wholePairs(one).length > 0);
    const place = el('div');
    const draw = (index) => {
        destroyCharts(place);
        place.replaceChildren(pairedPlots(metrics[index], comparison));
    };
    const choice = keptPicker('comparison', 'Metric', metrics.map((one, i) => [String(i), metricTitle(one, comparison)]), draw);
    if (metrics.length)
        draw(choice.chosen);
    const parts = [
        choice.element, metrics.length ? place : null, metrics.length ? [el('h3', null, 'All metrics'), metricTable(comparison),
            noteLines([(comparison.family || {}).words, ...(comparison.notes || [])])].flat() : null,
        (comparison.time || []).length ? [el('h3', null, 'Time to reach'), ...timeTables(comparison.time)] : null,
        (comparison.differences || []).length ? [el('h3', null, 'What differs between the arms'), differenceTable(comparison)] : null,
    ].flat().filter(Boolean);
    return parts.length ? parts : [el('p', {class: 'note'}, 'No seed has a value in both arms yet.')];
}
