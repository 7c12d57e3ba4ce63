/* page_numbers.js - a run's numbers are where a reader looks for them. */
const text = document.querySelector('main').textContent.replace(/\s/g, ' ');
expect(/63\.52 %/.test(all('.stat-value')[0].textContent.replace(/\s/g, ' ')), 'the first number is ' + all('.stat-value')[0].textContent);
expect(text.includes('untrained 33.10 %') && text.includes('raw pixels 35.40 %'), 'no baselines');
expect(text.includes('Step 120: the rank of the embeddings fell to 2.1'), 'nothing of its health');
expect(text.includes('Held constant: weight decay 0.04'), 'what is constant is not said');
const levels = (title) => chartOf(title).options.plugins.mark.levels.map((one) => one.value).join();
expect(levels('Teacher entropy') === String(Math.log(1024)), 'no ln K');
expect(levels('Teacher marginal entropy') === '0', 'what is healthy is marked: ' + levels('Teacher marginal entropy'));
expect(levels('Attention entropy') === '', 'nobody knows what this means: ' + levels('Attention entropy'));
expect(all('.line.changed').map((line) => line.firstChild.textContent).join() === 'out_dim = 1024,k = 20', 'other lines are marked as changed');
expect(all('.confusion tbody td').length === 100, 'another matrix');
expect(all('.thumb canvas').length === 4 * 9, 'other neighbours');
const shares = chartOf('Crop scale').data.datasets;
expect(shares.map((one) => one.label + ' ' + one.data).join() === 'global 25,75,local 100,0', 'other shares of crop scales: ' + shares.map((one) => one.label + ' ' + one.data));
expect(all('#views td').some((td) => td.textContent === '0.31') && text.includes('DINO (published)'), 'no means of views');
const cell = all('.confusion tbody td')[0];
cell.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
expect(/^Airplane recognised: 80 of \d+ \(/.test(document.querySelector('.told').textContent), 'a cell says ' + document.querySelector('.told').textContent);
// A tile's disc is in the middle, in the colour of its class; the atlas has been cut at the right place.
const query = all('.thumb.query canvas')[1].getContext('2d').getImageData(16, 16, 1, 1).data;
const near = (a, b) => Math.abs(a - b) < 8;
const wanted = [0, 1, 2].map((c) => 110 + 110 * Math.cos(0.63 + 2.1 * c));
expect(wanted.every((value, c) => near(value, query[c])), 'the thumbnail of class 1 is ' + query + ', not ' + wanted);
return verdict();
