/* page_contrast.js THEME - every text is readable: its contrast to what is behind it is at least 4.5,
 * as WCAG 2 reckons, or 3 where letters are large; curves have 3. */
const [theme] = arguments;

const known = new Map();

function parts(colour) {
    if (!known.has(colour))
        known.set(colour, painted(colour));
    return known.get(colour);
}

function painted(colour) {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const context = canvas.getContext('2d', {willReadFrequently: true});
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
}

function over(front, back) {
    return [0, 1, 2].map((c) => front[c] * front[3] + back[c] * (1 - front[3])).concat(1);
}

function luminance(colour) {
    const linear = colour.slice(0, 3).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

function contrast(a, b) {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
}

function behind(element) {
    if (!element)
        return [255, 255, 255, 1];
    const own = parts(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(element.parentElement));
}

expect(document.documentElement.dataset.theme === theme, 'the theme is ' + document.documentElement.dataset.theme);
const ground = luminance(behind(document.body));
expect(theme === 'dark' ? ground < 0.1 : ground > 0.8, 'the ground has a luminance of ' + ground);
let worst = 99;
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const seen = new Set();
while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (seen.has(element) || !texts.currentNode.textContent.trim() || !element.checkVisibility() || /SCRIPT|STYLE|OPTION/.test(element.tagName))
        continue;
    seen.add(element);
    const style = getComputedStyle(element);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && Number(style.fontWeight) >= 700);
    const back = behind(element);
    const got = contrast(over(parts(style.color), back), back);
    worst = Math.min(worst, got);
    expect(got >= (large ? 3 : 4.5), element.tagName + '.' + element.className + ' "' + element.textContent.slice(0, 30) + '" has ' + got.toFixed(2));
}
expect(seen.size > 100, 'only ' + seen.size + ' texts were looked at');
for (const chart of Object.values(Chart.instances)) {
    const back = behind(chart.canvas.parentElement);
    for (const dataset of chart.data.datasets.filter((one) => !one.raw && one.label !== 'mean')) {
        const got = contrast(parts([dataset.borderColor].flat()[0]).slice(0, 3).concat(1), back);
        expect(got >= 3, dataset.label + ' has ' + got.toFixed(2));
    }
}
return verdict();
