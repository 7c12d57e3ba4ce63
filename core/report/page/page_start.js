/* page_start.js - the page as a list of sections. A section is drawn where the data have something
 * for it and left out where they have not; a live page draws again what has changed. */

/* pick: what of the page the section shows, or null. draw: elements. runs: picked of each run. */
const sections = [
    {id: 'outcome', title: 'Outcome', pick: (page) => outcomeParts(page), draw: (parts, page) => headline(page)},
    {id: 'comparison', title: 'Comparison', pick: (page) => page.comparison, draw: (comparison) => comparisonBlock(comparison)},
    {id: 'sweep', title: 'Sweep', pick: (page) => page.sweep && (page.sweep.metrics || []).length ? page.sweep : null, draw: (sweep) => sweepBlock(sweep)},
    {id: 'curves', title: 'Curves', curves: 'training'},
    {id: 'collapse', title: 'Collapse indicators', short: 'Collapse', curves: 'health'},
    {id: 'schedules', title: 'Schedules', curves: 'schedules'},
    {id: 'views', title: 'Views', of: (run) => run.views, draw: (views) =>
        [views.sheet ? viewSheet(views.sheet) : null, views.numbers ? viewNumbers(views.numbers) : null].flat()},
    {id: 'map', title: 'Map of embeddings', short: 'Map', of: (run) => run.pictures && run.pictures.map ? run.pictures : null, draw: (pictures, page, atlas) => [mapCard(pictures, atlas)]},
    {id: 'neighbours', title: 'Nearest neighbours', short: 'Neighbours', of: (run) => run.pictures && run.pictures.neighbours ? run.pictures : null, draw: (pictures, page, atlas) =>
        [el('p', {class: 'note'}, 'Left: a test image. Beside it what the network holds for most alike, with the cosine; ≠ is another class.'), neighbourStrip(pictures, atlas)]},
    {id: 'confusion', title: 'Confusion', of: (run) => run.pictures && run.pictures.confusion, draw: (confusion) => confusionMatrix(confusion)},
    {id: 'attention', title: 'Attention', of: (run) => run.pictures && (run.pictures.attention || []).length ? run.pictures.attention : null, draw: (attention) => [attentionRows(attention)]},
    {id: 'configuration', title: 'Configuration', of: (run) => run.config ? {config: run.config, changes: run.changes} : null, draw: (run) => configBlock(run)},
    {id: 'environment', title: 'Environment', of: (run) => run.environment, draw: (environment) => environmentBlock(environment)},
];

/* What the headline depends on, so that it is not drawn again for nothing. */
function outcomeParts(page) {
    return [page.comparison, page.sweep, page.runs.map((run) => [run.label, run.state, run.results, run.health, lastOf(run, 'train/loss')])];
}

function destroyCharts(element) {
    for (const canvas of element.querySelectorAll('canvas')) {
        const chart = Chart.getChart(canvas);
        if (chart)
            chart.destroy();
    }
}

/* A section of one run at a time, with a choice of the run where several have it. */
async function fillRunSection(section, body, page, wanted) {
    const holders = page.runs.filter((run) => section.of(run));
    const run = holders.find((one) => one.label === wanted) || holders[0];
    const pictures = run.pictures;
    const atlas = pictures && pictures.atlas ? await loadImage(pictures.atlas) : null;
    const choice = holders.length < 2 ? null :
        picker('Run', holders.map((one) => [one.label, one.label]), run.label, (label) => fillRunSection(section, body, page, label));
    destroyCharts(body);
    body.replaceChildren(...[choice, ...section.draw(section.of(run), page, atlas)].filter(Boolean));
}

function pickOf(section, page) {
    if (section.of) {
        const picked = page.runs.map((run) => section.of(run)).filter(Boolean);
        return picked.length ? picked : null;
    }
    return section.pick(page) || null;
}

/* --- curves: their charts stay, and take new data in --- */

const curveGrids = {};

function fillCurves(section, body, page) {
    if (!curveGrids[section.id]) {
        const grid = curveGrid(section.curves, page);
        curveGrids[section.id] = grid;
        body.append(...grid.elements);
    } else {
        curveGrids[section.id].refresh(page, false);
    }
}

function hasCurves(section, page) {
    return curveCharts(page, section.curves).length > 0;
}

/* --- the whole --- */

const drawn = new Map(); // id -> {element, body, key}

function sectionFrame(section) {
    const body = el('div', {class: 'body'});
    const element = el('section', {id: section.id, 'aria-labelledby': section.id + '-title'},
        el('h2', {id: section.id + '-title'}, section.title), body);
    return {element, body, key: null};
}

let current = null; // the page that is shown

async function drawSection(section, page) {
    const has = section.curves ? hasCurves(section, page) : pickOf(section, page);
    if (!has)
        return;
    if (!drawn.has(section.id)) {
        const frame = sectionFrame(section);
        drawn.set(section.id, frame);
        if (section.curves === 'training')
            frame.body.append(curveControls(page, (axisChanged) => Object.values(curveGrids).forEach((grid) => grid.refresh(current, axisChanged))));
        placeSection(section, frame.element);
    }
    const frame = drawn.get(section.id);
    if (section.curves)
        return fillCurves(section, frame.body, page);
    const key = JSON.stringify(has);
    if (frame.key === key)
        return;
    frame.key = key;
    if (section.of)
        return fillRunSection(section, frame.body, page);
    destroyCharts(frame.body);
    frame.body.replaceChildren(...section.draw(has, page).filter(Boolean));
}

/* In the order of the list, whenever a section comes to be. */
function placeSection(section, element) {
    const later = sections.slice(sections.indexOf(section) + 1).find((one) => drawn.has(one.id));
    document.getElementById('main').insertBefore(element, later ? drawn.get(later.id).element : null);
}

function drawContents() {
    const links = sections.filter((section) => drawn.has(section.id)).map((section) => el('a', {href: '#' + section.id}, section.short || section.title));
    const nav = document.getElementById('contents');
    if (nav.childElementCount !== links.length)
        nav.replaceChildren(...links);
}

async function drawPage(page) {
    page.runs = page.runs || [];
    current = page;
    document.title = page.title || 'wisp';
    document.querySelector('h1').textContent = page.title || 'wisp';
    document.getElementById('state').textContent = stateWords(page);
    for (const section of sections)
        await drawSection(section, page);
    drawContents();
}

function stateWords(page) {
    const kind = {run: 'run', comparison: 'comparison', sweep: 'sweep'}[page.kind] || 'report';
    const running = page.runs.filter((run) => run.state === 'running').length;
    const count = page.runs.length > 1 ? page.runs.length + ' runs' : '';
    return [kind, count, running ? (page.runs.length > 1 ? running + ' running' : 'running') : '', page.version ? 'wisp ' + page.version : '']
        .filter(Boolean).join(' · ');
}

async function start() {
    const page = JSON.parse(document.getElementById('page-data').textContent);
    setChartDefaults();
    document.getElementById('main').replaceChildren();
    document.getElementById('top').append(el('div', {class: 'title'}, el('h1', null), el('p', {id: 'state', class: 'note'})), themeSwitch());
    document.getElementById('foot').append('Made by wisp. This file holds all that it shows and asks the network for nothing.');
    await drawPage(page);
    document.documentElement.dataset.ready = 'yes';
    if (page.live)
        follow();
}
