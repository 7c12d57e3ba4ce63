/* page_lacking.js SECTIONS TROUBLED - all sections are there; those of TROUBLED say that they cannot be drawn. */
const [sections, troubled] = arguments;
expect(all('main > section').map((one) => one.id).join(' ') === sections, 'the sections are ' + all('main > section').map((one) => one.id).join(' '));
const told = all('main > section').filter((one) => one.querySelector('.warning') && /cannot be drawn/.test(one.querySelector('.warning').textContent));
expect(told.map((one) => one.id).join(' ') === troubled, 'trouble is told of ' + told.map((one) => one.id).join(' '));
expect(chartOf('Loss').data.datasets.length > 0, 'no curves');
expect(all('#contents a').length === sections.split(' ').length, 'the contents do not name all sections');
return verdict();
