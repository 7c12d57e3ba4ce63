/* page_hovered.js TITLE TEXT - the tooltip of this chart is shown, and says something like TEXT. */
const [title, text] = arguments;
await drawn();
const chart = chartOf(title);
const box = cardOf(title).querySelector('.map-tip');
if (box) {
    expect(!box.hidden && box.querySelector('canvas').width === 96, 'no large thumbnail');
    expect(new RegExp(text).test(box.textContent), 'the tooltip says ' + box.textContent);
} else {
    expect(chart.tooltip.opacity === 1, 'no tooltip');
    const said = [...(chart.tooltip.title || []), ...(chart.tooltip.body || []).flatMap((one) => one.lines)].join(' ');
    expect(new RegExp(text).test(said), 'the tooltip says ' + said);
}
return verdict();
