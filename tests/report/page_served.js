/* page_served.js N_STEPS - the page shows so many points of a loss, and is live. */
const [steps] = arguments;
const points = () => chartOf('Loss') ? chartOf('Loss').data.datasets[0].data.length : 0;
for (let i = 0; i < 600 && points() !== steps; i++)
    await new Promise((done) => setTimeout(done, 100));
expect(points() === steps, 'there are ' + points() + ' points, not ' + steps);
expect(document.querySelector('#live.live'), 'it does not say that it is live');
return verdict();
