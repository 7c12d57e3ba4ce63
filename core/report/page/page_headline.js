/* page_headline.js - the outcome first, in words and large numbers. */

function statTile(label, value, detail) {
    return el('div', {class: 'stat'}, el('div', {class: 'stat-name'}, label), el('div', {class: 'stat-value'}, value),
        detail ? el('div', {class: 'stat-detail'}, detail) : null);
}

/* Of each metric what counts most: a task at the end, else the newest probe. */
function finalResults(run) {
    const best = new Map();
    for (const kind of ['probe', 'best_probe', 'task']) {
        for (const result of run.results || []) {
            if (result.kind === kind && !(kind === 'best_probe' && best.has(result.metric)) && !/_best_epoch$/.test(result.metric))
                best.set(result.metric, result);
        }
    }
    return [...best.values()];
}

function baselineWords(run, metric) {
    return (run.results || []).filter((one) => one.metric === metric && ['untrained', 'raw_pixels'].includes(one.kind))
        .map((one) => inWords(one.kind) + ' ' + score(metric, one.value)).join(' · ');
}

function lastOf(run, key) {
    const curve = (run.curves || {})[key];
    return curve && curve.value && curve.value.length ? curve.value[curve.value.length - 1] : NaN;
}

function runTiles(run) {
    const tiles = finalResults(run).slice(0, 6).map((result) =>
        statTile(capital(inWords(result.metric)) + (result.kind === 'task' ? '' : ', probe'), score(result.metric, result.value),
            baselineWords(run, result.metric)));
    const loss = lastOf(run, 'train/loss');
    if (isNumber(loss) && tiles.length < 6)
        tiles.push(statTile('Loss', show(loss), 'last logged'));
    return el('div', {class: 'stats'}, tiles);
}

function healthNotes(run) {
    return (run.health || []).map((one) => el('p', {class: 'warning', role: 'note'},
        el('strong', null, isNumber(one.step) ? 'Step ' + one.step + ': ' : ''), one.words || one.message || asText(one)));
}

/* All runs in one table, where there are several. */
function runTable(page) {
    const metrics = [...new Set(page.runs.flatMap((run) => finalResults(run).map((result) => result.metric)))].slice(0, 6);
    const rows = page.runs.map((run) => [run.label, run.state || '–',
        ...metrics.map((metric) => {
            const found = finalResults(run).find((result) => result.metric === metric);
            return found ? score(metric, found.value) : '–';
        }), show(lastOf(run, 'train/loss'))]);
    return table(['Run', 'State', ...metrics.map((metric) => '#' + capital(inWords(metric))), '#Last loss'], rows);
}

function verdictKind(verdict) {
    return /better/.test(verdict || '') ? 'shown' : 'open';
}

function verdictTag(verdict) {
    return el('span', {class: 'tag ' + verdictKind(verdict)}, verdict || 'not judged');
}

/* A percentage has no more than a hundred points to differ by. */
function seesNothing(one) {
    return isPercentage(one.metric) && one.detectable > 100;
}

function smallestSeen(one) {
    const seeds = wholePairs(one).length + ' seeds';
    if (!isNumber(one.detectable))
        return null;
    return seesNothing(one) ? seeds + ' are too few to see any difference' : 'Smallest difference that ' + seeds + ' could have seen: ' +
        fixed(one.detectable, decimalsOf(one)) + (isPercentage(one.metric) ? ' points' : '');
}

function verdictCard(one, comparison) {
    const unjudged = one.verdict ? null : one.words;
    const seen = smallestSeen(one);
    return el('div', {class: 'verdict ' + verdictKind(one.verdict)},
        el('div', {class: 'stat-name'}, metricTitle(one, comparison)),
        el('div', {class: 'verdict-line'}, capital(one.verdict || 'not judged')),
        el('div', {class: 'verdict-number'}, intervalText(one)), seen || unjudged ? el('p', null, seen || unjudged) : null);
}

/* The first metric is the one that the comparison is about; beside it the first at equal pixels. */
function comparisonHeadline(comparison) {
    const metrics = comparison.metrics || [];
    const [first] = metrics;
    const pixels = metrics.find((one) => one.basis !== first.basis);
    const shown = metrics.filter((one) => [first, pixels].some((like) => like && one.metric === like.metric &&
        one.source === like.source && one.basis === like.basis)).slice(0, 6);
    const arms = (comparison.arms || []).map((arm, i) => [i ? ' against ' : '', el('strong', null, arm.name), ' ' + (arm.title || '')]).flat();
    const seeds = (comparison.seeds || []).length;
    return [el('p', {class: 'lead'}, arms, seeds ? ', ' + seeds + ' paired seeds' : ''),
        el('div', {class: 'verdicts'}, shown.map((one) => verdictCard(one, comparison)))];
}

function headline(page) {
    const parts = [];
    if (page.comparison && (page.comparison.metrics || []).length)
        parts.push(...comparisonHeadline(page.comparison));
    if (page.sweep && (page.sweep.metrics || []).length)
        parts.push(el('p', {class: 'lead'}, page.sweep.metrics[0].words || ''));
    if (page.runs.length === 1)
        parts.push(runTiles(page.runs[0]));
    else if (page.runs.length > 1 && !page.comparison && !page.sweep)
        parts.push(runTable(page));
    for (const run of page.runs)
        parts.push(...healthNotes(run));
    const unfinished = page.comparison || page.sweep;
    if (unfinished && unfinished.complete === false)
        parts.push(el('p', {class: 'warning'}, 'Not all runs are there yet: the numbers are those of the runs that are.'));
    return parts.length ? parts : [el('p', {class: 'note'}, 'No results yet.')];
}
