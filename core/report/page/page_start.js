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
async function fillRunSection(section, page) {
    const frame = drawn.get(section.id);
    const turn = ++frame.turn;
    const holders = page.runs.filter((run) => section.of(run));
    const choice = keptPicker(section.id, 'Run', holders.map((one) => [one.label, one.label]), () => guarded(section, () => fillRunSection(section, current)));
    const run = holders.find((one) => one.label === choice.chosen);
    const pictures = run.pictures;
    const atlas = pictures && pictures.atlas ? await loadImage(pictures.atlas) : null;
    if (frame.turn !== turn)
        return; // another run was chosen meanwhile, or there is newer news
    destroyCharts(frame.body);
    frame.body.replaceChildren(...[choice.element, ...section.draw(section.of(run), page, atlas)].filter(Boolean));
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

function fillCurves(section, frame, page) {
    if (section.curves === 'training')
        keepControls(frame, page);
    if (!curveGrids[section.id]) {
        const grid = curveGrid(section.curves, page);
        curveGrids[section.id] = grid;
        frame.body.append(...grid.elements);
    } else {
        curveGrids[section.id].refresh(page, false);
    }
}

/* Made again when there are other runs, or other axes. */
function keepControls(frame, page) {
    const key = JSON.stringify([runGroups(page).map((group) => group.title), axesOf(page)]);
    if (frame.controls && frame.controls.key === key)
        return;
    const refresh = (axisChanged) => Object.values(curveGrids).forEach((grid) => grid.refresh(current, axisChanged));
    const element = curveControls(page, refresh);
    if (frame.controls)
        frame.controls.element.replaceWith(element);
    else
        frame.body.prepend(element);
    frame.controls = {element, key};
}

function hasCurves(section, page) {
    return curveCharts(page, section.curves).length > 0;
}

/* --- the whole --- */

const drawn = new Map(); // id -> {element, body, trouble, key, turn, controls}

function sectionFrame(section) {
    if (drawn.has(section.id))
        return drawn.get(section.id);
    const body = el('div', {class: 'body'});
    const element = el('section', {id: section.id, 'aria-labelledby': section.id + '-title'},
        el('h2', {id: section.id + '-title'}, section.title), body);
    const frame = {element, body, trouble: null, key: null, turn: 0, controls: null};
    drawn.set(section.id, frame);
    placeSection(section, element);
    return frame;
}

let current = null; // the page that is shown

function tellTrouble(frame, text) {
    if (frame && frame.trouble)
        frame.trouble.remove();
    if (!frame || !text)
        return;
    frame.trouble = el('p', {class: 'warning', role: 'note'}, text);
    frame.body.before(frame.trouble);
}

/* Whatever a file of numbers lacks costs the page one section, which says so. */
async function guarded(section, draw) {
    try {
        await draw();
        tellTrouble(drawn.get(section.id), null);
    } catch (error) {
        const frame = sectionFrame(section);
        frame.key = null;
        tellTrouble(frame, 'This cannot be drawn from what the files say: ' + error.message);
        if (!section.curves) {
            destroyCharts(frame.body);
            frame.body.replaceChildren();
        }
    }
}

async function drawSection(section, page) {
    const has = section.curves ? hasCurves(section, page) : pickOf(section, page);
    if (!has)
        return;
    const frame = sectionFrame(section);
    if (section.curves) {
        fillCurves(section, frame, page);
        return;
    }
    const key = JSON.stringify(has);
    if (frame.key === key)
        return;
    frame.key = key;
    if (section.of) {
        await fillRunSection(section, page);
        return;
    }
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
        await guarded(section, () => drawSection(section, page));
    drawContents();
}

function stateWords(page) {
    const kind = {run: 'run', comparison: 'comparison', sweep: 'sweep'}[page.kind] || 'report';
    const several = page.runs.length > 1;
    const states = ['running', 'not finished'].map((state) => {
        const n = page.runs.filter((run) => run.state === state).length;
        return n ? (several ? n + ' ' : '') + state : '';
    });
    return [kind, several ? page.runs.length + ' runs' : '', ...states, page.version ? 'wisp ' + page.version : '']
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
