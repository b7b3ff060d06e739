// What the page knows: the record, each view with what is open in it, and the selection that all views share.

const { record, svg: safe, licenses } = JSON.parse(document.querySelector("script#data").textContent);
const MOST_AT_FIRST = 300;
const MOST_DEPTHS = 5;

const stage = stageOf(byId("stage"), (scale) => {
    byId("scale").textContent = `${Math.round(scale * 100)}%`;
});
const pane = codePane(byId("code"), record.code ?? []);

const views = record.views.map((view) => {
    const model = view.static ? null : modelOf(view);
    const marked = new Map();
    for (const [id, nodes] of Object.entries(view.marks ?? {})) {
        for (const node of nodes) marked.set(node, [...(marked.get(node) ?? []), id]);
    }
    const open = model ? opensAtFirst(model) : new Set();
    return { view, model, marked, open, first: open, unfolded: new Set(), drawing: null, where: null, index: null };
});
if (record.passes)
    views.push({ view: { name: "passes", title: "Passes" }, model: null, marked: new Map(), isTable: true });

const backward = new Map();
record.nodes.forEach((node, i) => {
    const forward = node.forward ?? null;
    if (forward !== null) backward.set(forward, [...(backward.get(forward) ?? []), i]);
});

const app = { record, views, backward, current: null, selection: null, overlay: null, side: "details" };
let running = null;
let touched = [];
