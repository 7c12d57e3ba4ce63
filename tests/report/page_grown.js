/* page_grown.js - a run that had a loss alone gets probes, another part of its loss, and a companion. */
const page = JSON.parse(document.getElementById('page-data').textContent);
const buttons = () => all('.controls .segments button').map((one) => one.textContent).join();
const legend = () => [...cardOf('Loss').querySelectorAll('.legend .key')].map((one) => one.textContent).join();
expect(buttons() === '', 'at first there are ' + buttons());
const [run] = page.runs;
run.curves['probe/k_nn_top_1'] = {step: [1000, 2000], epoch: [1, 2], value: [20, 30]};
await give(page);
expect(buttons() === 'Steps,Epochs', 'with a probe there are ' + buttons());
all('.controls button').find((one) => one.textContent === 'Epochs').click();
await drawn();
expect(Math.abs(chartOf('Loss').scales.x.max - 4) < 0.1, 'epochs end at ' + chartOf('Loss').scales.x.max);
run.curves['train/loss_local'] = {step: [1, 4000], epoch: [0, 4], value: [3, 2]};
await give(page);
expect(legend() === 'loss,loss local', 'the parts of the loss are ' + legend());
expect(all('.card h3').filter((one) => one.textContent === 'Loss').length === 1, 'a chart is there twice');
// One without epochs: all are over steps again, and say so.
page.runs.push({label: 'b/0', state: 'not finished', curves: {'train/loss': {step: [1, 4000], epoch: [0, 0], value: [5, 4]}}});
await give(page);
expect(buttons() === '', 'for a run without probes there are ' + buttons());
expect(Math.abs(chartOf('Loss').scales.x.max - 4000) < 10, 'steps end at ' + chartOf('Loss').scales.x.max);
expect(all('.controls .key').length === 2, 'not a key for each run');
const state = document.getElementById('state').textContent;
expect(state.includes('2 runs · 1 running · 1 not finished'), 'the state is ' + state);
expect(all('#outcome td').some((one) => one.textContent === 'not finished'), 'the table does not say that a run is not finished');
return verdict();
