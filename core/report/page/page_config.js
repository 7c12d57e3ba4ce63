/* page_config.js - the resolved experiment with what differs from its base, and where it ran. */

/* Dotted keys of a resolved TOML, line by line: [{text, key}]. Tables of an array are numbered from 0. */
function tomlLines(text) {
    const counts = {};
    let folder = '';
    return text.replace(/\n$/, '').split('\n').map((line) => {
        const array = line.match(/^\s*\[\[(.+)\]\]/);
        const head = line.match(/^\s*\[([^[\]]+)\]/);
        const pair = line.match(/^\s*([A-Za-z0-9_."-]+)\s*=/);
        if (array) {
            counts[array[1]] = (counts[array[1]] || 0) + 1;
            folder = array[1] + '.' + (counts[array[1]] - 1) + '.';
        } else if (head) {
            folder = head[1] + '.';
        }
        return {text: line, key: pair ? folder + pair[1] : null};
    });
}

/* key -> value as written. */
function tomlValues(text) {
    const values = {};
    for (const line of tomlLines(text)) {
        if (line.key)
            values[line.key] = line.text.replace(/^[^=]*=\s*/, '');
    }
    return values;
}

function asText(value) {
    if (value === null || value === undefined)
        return '–';
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function codeCell(value) {
    return el('code', null, asText(value));
}

function configBlock(run) {
    const changes = run.changes || [];
    const flat = (key) => String(key).replace(/\[(\d+)\]/g, '.$1');
    const byKey = new Map(changes.map((change) => [flat(change.key), change]));
    const lines = tomlLines(run.config).map(({text, key}) => {
        const change = key && byKey.get(key);
        const base = change ? el('span', {class: 'base'}, change.base === undefined || change.base === null ? 'not in the base' : 'base: ' + asText(change.base)) : null;
        return el('span', {class: change ? 'line changed' : 'line'}, text || ' ', base);
    });
    return [
        changes.length ? [el('h3', null, 'What differs from its base'),
            table(['Key', 'Here', 'Base'], changes.map((change) => [codeCell(change.key), codeCell(change.here), codeCell(change.base)]))] : null,
        el('details', {open: changes.length === 0}, el('summary', null, 'The whole resolved experiment'), el('pre', {class: 'toml'}, lines)),
    ].flat();
}

/* Nested values as lines "a.b: value"; lists of alike objects as tables. */
function valueRows(value, name, rows, tables) {
    if (Array.isArray(value) && value.length && value.every((one) => one && typeof one === 'object' && !Array.isArray(one)))
        tables.push([name, value]);
    else if (value && typeof value === 'object' && !Array.isArray(value))
        Object.entries(value).forEach(([key, one]) => valueRows(one, name ? name + ' · ' + key : key, rows, tables));
    else
        rows.push([capital(inWords(name)), Array.isArray(value) ? value.map(asText).join(', ') : asText(value)]);
}

function facts(rows) {
    return el('dl', {class: 'facts'}, rows.map(([name, value]) => el('div', null, el('dt', null, name), el('dd', null, value))));
}

function objectTable(objects) {
    const columns = [...new Set(objects.flatMap((one) => Object.keys(one)))];
    const numeric = columns.map((column) => objects.every((one) => one[column] === undefined || isNumber(one[column])));
    return table(columns.map((column, i) => (numeric[i] ? '#' : '') + capital(inWords(column))),
        objects.map((one) => columns.map((column, i) => numeric[i] ? show(one[column]) : asText(one[column]))));
}

function environmentBlock(environment) {
    const rows = [];
    const tables = [];
    valueRows(environment, '', rows, tables);
    return [rows.length ? facts(rows) : null, ...tables.map(([name, objects]) =>
        el('details', null, el('summary', null, capital(inWords(name)) + ' (' + objects.length + ')'), objectTable(objects)))];
}
