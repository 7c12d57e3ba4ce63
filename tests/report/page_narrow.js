/* page_narrow.js WIDTH - nothing is wider than the window, and letters are not too small to read. */
const [width] = arguments;
expect(innerWidth === width, 'the window is ' + innerWidth + ' wide');
expect(document.documentElement.scrollWidth <= width, 'the page is ' + document.documentElement.scrollWidth + ' wide');
const scrolls = (element) => element && (['auto', 'scroll'].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
const wide = all('main *, header *').filter((element) => element.getBoundingClientRect().right > width + 1 && !scrolls(element));
expect(wide.length === 0, wide.length + ' elements stick out, the first is ' + (wide[0] || {}).className);
for (const canvas of all('.plot canvas'))
    expect(canvas.clientWidth > width / 2 && canvas.clientHeight >= 100, 'a chart is ' + canvas.clientWidth + ' × ' + canvas.clientHeight);
const small = all('main p, main td, main th, main button, main code, main dd').filter((element) =>
    element.textContent && !element.closest('.confusion') && parseFloat(getComputedStyle(element).fontSize) < 11.5);
expect(small.length === 0, small.length + ' texts are too small, the first is "' + (small[0] || {}).textContent + '"');
return verdict();
