/* page_zoomed.js TITLE LOW HIGH ZOOMED - x of this chart goes from LOW to HIGH, within 2 %, and the
 * reset button is there if it is zoomed. */
const [title, low, high, zoomed] = arguments;
await drawn();
const {min, max} = chartOf(title).scales.x;
const near = (a, b) => Math.abs(a - b) <= 0.02 * (high - low) + 3;
expect(near(min, low) && near(max, high), 'x goes from ' + min + ' to ' + max + ', not from ' + low + ' to ' + high);
expect(cardOf(title).querySelector('.reset').hidden === !zoomed, 'the reset button is ' + (zoomed ? 'not ' : '') + 'there');
return verdict();
