/* page_pictures.js - what the trained network sees: its map of images, neighbours, what it confuses,
 * and where it looks. Thumbnails are cut from one atlas of square tiles. */

function loadImage(source) {
    return new Promise((done) => {
        const image = new Image();
        image.onload = () => done(image);
        image.onerror = () => done(null);
        image.src = source;
    });
}

/* One tile of the atlas at a size of its own. */
function cutTile(pictures, atlas, tile, size, frame) {
    const canvas = el('canvas', {width: size, height: size});
    const context = canvas.getContext('2d');
    const column = tile % pictures.columns;
    const row = Math.floor(tile / pictures.columns);
    context.imageSmoothingEnabled = size < pictures.tile;
    if (frame) {
        context.fillStyle = frame;
        context.fillRect(0, 0, size, size);
    }
    const edge = frame ? 2 : 0;
    if (atlas)
        context.drawImage(atlas, column * pictures.tile, row * pictures.tile, pictures.tile, pictures.tile,
            edge, edge, size - 2 * edge, size - 2 * edge);
    return canvas;
}

function className(pictures, label) {
    const names = pictures.classes || [];
    if (!isNumber(label))
        return 'no label';
    return names[label] !== undefined ? names[label] : 'class ' + label;
}

/* --- the map --- */

function mapDatasets(pictures, atlas, thumbnails) {
    const labels = [...new Set(pictures.map.points.map((point) => point[2]))].sort((a, b) => a - b);
    return labels.map((label) => {
        const points = pictures.map.points.filter((point) => point[2] === label);
        return {
            label: className(pictures, label), look: {colour: label || 0},
            data: points.map(([x, y, , tile]) => ({x, y, tile, label})),
            pointRadius: thumbnails ? 11 : 4, pointHoverRadius: thumbnails ? 11 : 6, borderWidth: 1.5, hitRadius: thumbnails ? 2 : 6,
            paint: (dataset) => {
                const colour = seriesColour(label || 0);
                dataset.borderColor = colour;
                dataset.backgroundColor = faint(colour, 0.6);
                dataset.pointStyle = thumbnails ? points.map((point) => cutTile(pictures, atlas, point[3], 22, colour))
                    : pointShapes[Math.floor(label / nColours) % pointShapes.length];
            },
        };
    });
}

/* The tooltip of the map: a larger thumbnail over the plot. */
function mapTooltip(pictures, atlas, box) {
    return ({chart, tooltip}) => {
        const item = tooltip.dataPoints && tooltip.dataPoints[0];
        box.hidden = tooltip.opacity === 0 || !item;
        if (box.hidden)
            return;
        const {tile, label} = item.raw;
        box.replaceChildren(cutTile(pictures, atlas, tile, 96), el('span', null, className(pictures, label)));
        const left = Math.min(Math.max(tooltip.caretX - 56, 0), chart.width - 120);
        const below = tooltip.caretY < 160;
        box.style.left = left + 'px';
        box.style.top = (below ? tooltip.caretY + 16 : tooltip.caretY - 148) + 'px';
    };
}

function mapCard(pictures, atlas) {
    let thumbnails = Boolean(atlas);
    const box = el('div', {class: 'map-tip', hidden: true});
    const bare = {display: false, bounds: 'data', grace: '6%'};
    const config = {
        type: 'scatter',
        data: {datasets: mapDatasets(pictures, atlas, thumbnails)},
        options: {
            interaction: {mode: 'nearest', intersect: true},
            scales: {x: {...bare}, y: {...bare}},
            plugins: {zoom: {both: true}, tooltip: atlas ? {enabled: false, external: mapTooltip(pictures, atlas, box)} : {
                callbacks: {label: (item) => item.dataset.label},
            }},
        },
    };
    const hidden = new Set();
    const legend = config.data.datasets.map((dataset) => legendButton(dataset.label, dataset.look, (shown) => {
        if (shown)
            hidden.delete(dataset.label);
        else
            hidden.add(dataset.label);
        apply();
    }));
    const apply = () => {
        const {chart} = made;
        chart.data.datasets.forEach((dataset, i) => chart.setDatasetVisibility(i, !hidden.has(dataset.label)));
        chart.update('none');
    };
    const made = chartCard({
        title: pictures.map.method || 'Embeddings in two dimensions', config, legend, size: 'square',
        tools: atlas ? segments('Points', [[true, 'Thumbnails'], [false, 'Dots']], thumbnails, (chosen) => {
            thumbnails = chosen;
            made.chart.data.datasets = mapDatasets(pictures, atlas, thumbnails);
            paint(made.chart);
            apply();
        }) : null,
    });
    made.plot.append(box);
    return made.element;
}

/* --- neighbours --- */

function thumbnail(pictures, atlas, one, note, kind) {
    const name = className(pictures, one.label);
    const canvas = cutTile(pictures, atlas, one.tile, pictures.tile);
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', name);
    return el('figure', {class: 'thumb ' + kind}, canvas, el('figcaption', null, name, note ? el('small', null, note) : null));
}

function neighbourStrip(pictures, atlas) {
    return el('div', {class: 'neighbours'}, pictures.neighbours.map((one) => el('div', {class: 'neighbour-row'},
        thumbnail(pictures, atlas, one, null, 'query'),
        el('div', {class: 'strip'}, one.of.map((near) => {
            const same = near.label === one.label && isNumber(one.label);
            const told = !isNumber(one.label) || same;
            return thumbnail(pictures, atlas, near, (told ? '' : '≠ ') + fixed(near.cosine, 3), same ? 'same' : told ? '' : 'other');
        })))));
}

/* --- confusion --- */

function confusionRows(counts) {
    return counts.map((row) => {
        const total = row.reduce((sum, count) => sum + count, 0);
        return {total, shares: row.map((count) => total > 0 ? count / total : 0)};
    });
}

function confusionSentence(names, counts, rows, truth, answer) {
    const share = percent(100 * rows[truth].shares[answer]);
    const verb = truth === answer ? names[truth] + ' recognised' : names[truth] + ' taken for ' + names[answer];
    return capital(verb) + ': ' + counts[truth][answer] + ' of ' + rows[truth].total + ' (' + share + ')';
}

/* The most frequent mistakes, in words. */
function worstConfusions(names, counts, rows, most) {
    const all = counts.flatMap((row, truth) => row.map((count, answer) => ({truth, answer, count})));
    return all.filter((one) => one.truth !== one.answer && one.count > 0).sort((a, b) => b.count - a.count).slice(0, most)
        .map((one) => confusionSentence(names, counts, rows, one.truth, one.answer));
}

function confusionMatrix(confusion) {
    const {counts} = confusion;
    const names = counts.map((row, i) => (confusion.classes || [])[i] || 'class ' + i);
    const rows = confusionRows(counts);
    const worst = worstConfusions(names, counts, rows, 5);
    const list = el('ul', {class: 'plain'}, worst.map((text) => el('li', null, text)));
    const large = counts.length > 20;
    const told = el('p', {class: 'told', 'aria-live': 'polite'}, 'Rows are the truth, columns the answer. Point at a cell.');
    const cell = (truth, answer) => {
        const share = rows[truth].shares[answer];
        const made = el('td', {class: truth === answer ? 'right' : 'wrong', 'data-at': truth + ' ' + answer},
            large ? '' : share >= 0.005 ? String(Math.round(100 * share)) : '·');
        made.style.setProperty('--share', share.toFixed(3));
        return made;
    };
    const head = el('tr', null, el('td'), names.map((name) => el('th', {scope: 'col'}, el('span', null, name))));
    const body = counts.map((row, truth) => el('tr', null, el('th', {scope: 'row'}, names[truth]), row.map((count, answer) => cell(truth, answer))));
    const matrix = el('table', {
        class: large ? 'confusion large' : 'confusion', onpointerover: (event) => {
            const at = event.target.dataset.at;
            if (at)
                told.textContent = confusionSentence(names, counts, rows, ...at.split(' ').map(Number));
        },
    }, el('thead', null, head), el('tbody', null, body));
    return [el('div', {class: 'beside'}, el('div', {class: 'scroll'}, matrix),
        el('div', null, told, el('h4', null, 'Most frequent confusions'), list))];
}

/* --- attention --- */

function attentionRows(attention) {
    const picture = (source, text, caption) => el('figure', {class: 'thumb'}, el('img', {src: source, alt: text}), caption ? el('figcaption', null, text) : null);
    return el('div', {class: 'neighbours'}, attention.map((one) => el('div', {class: 'neighbour-row attention'},
        el('div', {class: 'query'}, picture(one.image, 'test image', false)),
        el('div', {class: 'strip'}, one.heads.map((head, i) => picture(head, 'head ' + (i + 1), true))))));
}
