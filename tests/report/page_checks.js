/* page_checks.js - what the checks of the page share; it goes before each of them. */
const complaints = [];

function expect(good, text) {
    if (!good)
        complaints.push(text);
}

function verdict() {
    return complaints.join('; ');
}

function all(selector) {
    return [...document.querySelectorAll(selector)];
}

function cardOf(title) {
    return all('.card').find((card) => card.querySelector('h3').textContent === title);
}

function chartOf(title) {
    const card = cardOf(title);
    return card ? Chart.getChart(card.querySelector('canvas')) : null;
}

/* Scrolls there first. */
function placeOf(title, shareX, shareY) {
    const chart = chartOf(title);
    chart.canvas.scrollIntoView({block: 'center', behavior: 'instant'});
    const box = chart.canvas.getBoundingClientRect();
    const {left, right, top, bottom} = chart.chartArea;
    return Math.round(box.left + left + shareX * (right - left)) + ' ' + Math.round(box.top + top + shareY * (bottom - top));
}

/* Two frames: what was asked for is drawn. */
function drawn() {
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}

/* Data for a page that follows, in place of a server's: see page_grows.sh. Waits until they are drawn. */
async function give(page) {
    window.given = structuredClone(page);
    for (let i = 0; i < 1200 && window.given; i++)
        await new Promise((done) => setTimeout(done, 50));
    await new Promise((done) => setTimeout(done, 300));
    await drawn();
}
