/* page_dom.js - elements and numbers. Whatever comes from the data is set as text, never as HTML. */

/* el('a', {href: '#x', class: 'y', onclick: f}, child, 'text', ...). Without null children. */
function el(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
        if (key.startsWith('on'))
            element.addEventListener(key.slice(2), value);
        else if (value === true)
            element.setAttribute(key, '');
        else if (value !== false && value !== null && value !== undefined)
            element.setAttribute(key, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
}

function isNumber(value) {
    return typeof value === 'number' && isFinite(value);
}

/* A number for reading: four significant digits, powers of ten where they are needed. */
function show(value) {
    if (!isNumber(value))
        return '–';
    const size = Math.abs(value);
    let text;
    if (Number.isInteger(value) && size < 1e6)
        text = String(value);
    else if (size >= 1e6)
        text = Number(value.toPrecision(4)).toLocaleString('en', {notation: 'compact', maximumFractionDigits: 2});
    else if (size < 1e-3 && size > 0)
        text = value.toExponential(2).replace(/\.?0+e/, 'e').replace('e-', ' × 10^−').replace(/10\^(\S+)/, raised);
    else
        text = String(Number(value.toPrecision(4)));
    return text.replace(/^-/, '−');
}

function raised(all, digits) {
    return '10' + digits.replace(/./g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹⁻'['0123456789−'.indexOf(digit)]);
}

/* With a fixed number of decimals, so that columns line up. */
function fixed(value, decimals, sign) {
    if (!isNumber(value))
        return '–';
    const text = value.toFixed(decimals).replace('-', '−');
    return sign && value > 0 ? '+' + text : text;
}

function percent(value) {
    return fixed(value, 2) + '\u202f%';
}

/* A probability as papers write it. */
function chance(p) {
    if (!isNumber(p))
        return '–';
    return p < 0.001 ? '< 0.001' : p.toFixed(3);
}

/* k_nn_top_1 -> k-NN top-1: the names that the command prints. */
function inWords(name) {
    const text = name.replace(/k_nn/g, 'k-NN').replace(/\btop_(\d)|_top_(\d)/g, (all, a, b) => ' top-' + (a || b))
        .replace(/_/g, ' ').trim();
    return text.replace(/^grad norm$/, 'gradient norm').replace(/^lr$/, 'learning rate');
}

/* Names that begin small stay small. */
function capital(text) {
    return text.startsWith('k-NN') ? text : text.charAt(0).toUpperCase() + text.slice(1);
}

function isPercentage(metric) {
    return /top_\d/.test(metric);
}

function score(metric, value) {
    return isPercentage(metric) ? percent(value) : show(value);
}

/* table(['Metric', '#Value'], rows): a "#" before a head makes a column of numbers. A cell is a text
 * or an element. On phones each row becomes a card whose lines carry the heads. */
function table(heads, rows, attributes) {
    const numeric = heads.map((head) => head.startsWith('#'));
    const names = heads.map((head) => head.replace(/^#/, ''));
    const head = el('tr', null, names.map((name, i) => el('th', {scope: 'col', class: numeric[i] ? 'number' : null}, name)));
    const body = rows.map((row) => el('tr', null, row.map((cell, i) =>
        el(i ? 'td' : 'th', {scope: i ? null : 'row', class: numeric[i] ? 'number' : null, 'data-head': names[i]}, cell))));
    return el('div', {class: 'scroll'}, el('table', attributes, el('thead', null, head), el('tbody', null, body)));
}

/* A choice of one of several, as buttons in a row. `options`: [[value, text]...]. */
function segments(label, options, chosen, onchoose) {
    const buttons = options.map(([value, text]) => el('button', {
        type: 'button', 'aria-pressed': String(value === chosen), onclick: (event) => {
            for (const button of buttons)
                button.setAttribute('aria-pressed', String(button === event.currentTarget));
            onchoose(value);
        },
    }, text));
    return el('div', {class: 'segments', role: 'group', 'aria-label': label}, buttons);
}

/* A picker that is made again with what the reader had chosen. `options` may be one or none: then
 * there is no element. */
const keptChoices = new Map(); // id -> text of the option

function keptPicker(id, label, options, onchoose) {
    const kept = options.find(([, text]) => text === keptChoices.get(id)) || options[0];
    const choose = (chosen) => {
        keptChoices.set(id, options.find(([value]) => value === chosen)[1]);
        onchoose(chosen);
    };
    return {chosen: kept ? kept[0] : null, element: options.length < 2 ? null : picker(label, options, kept[0], choose)};
}

function picker(label, options, chosen, onchoose) {
    const choices = options.map(([value, text]) => el('option', {value, selected: value === chosen}, text));
    return el('label', {class: 'picker'}, el('span', null, label),
        el('select', {onchange: (event) => onchoose(event.target.value)}, choices));
}
