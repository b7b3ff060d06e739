// From what is visible to DOT, and from DOT to a drawing: Graphviz runs in a worker, so that the page never hangs.

const PATIENCE = 20; // seconds
const MOST_VISIBLE = 1500;
const [MARGIN, NARROW] = [8.64, 54]; // points: beside the text of a box, and the width that each box has

const canvas = document.createElement("canvas").getContext("2d");

/** The width of the longest of some lines, in points. */
function widthOfText(lines) {
    canvas.font = "12px Helvetica, Arial, sans-serif";
    return Math.max(...lines.map((line) => canvas.measureText(line).width));
}

/** Text as Graphviz reads it: its escapes, its entities and its HTML-like labels have no hold on it. */
function quoted(lines, backslash = "\\\\") {
    const safe = lines.map((line) => line.replaceAll("&", "&amp;").replaceAll("\\", backslash).replaceAll('"', '\\"'));
    return `"${safe.join("\\n")}"`;
}

/** Graphviz looks for escapes in a tooltip twice. */
const quotedTooltip = (lines) => quoted(lines.length ? lines : [" "], "\\\\\\\\");

const STORED = new Set(["parameter", "shared", "state"]);

/** The arrows whose two ends stand side by side: from a parameter that is used once to its user. See dot.py. */
function besideIn(model, seen) {
    const uses = new Map();
    for (const arrow of seen.arrows) {
        const [tail, head] = [boxOf(model, arrow.tail), boxOf(model, arrow.head)];
        if (STORED.has(tail?.kind) && head?.kind === "op")
            uses.set(arrow.tail, [...(uses.get(arrow.tail) ?? []), arrow]);
    }
    return new Set([...uses.values()].filter((arrows) => arrows.length === 1).flat());
}

/** The arrows that come into a frame through a door, beside parameters that lead to the same box. See dot.py. */
function throughIn(model, seen, beside) {
    const isStored = (arrow) => STORED.has(boxOf(model, arrow.tail)?.kind);
    const below = new Set(
        seen.arrows.filter((arrow) => isStored(arrow) && !beside.has(arrow)).map((arrow) => arrow.head),
    );
    const around = new Map(seen.shown.map((each, k) => [idOf(each), seen.around[k]]));
    return new Set(
        seen.arrows.filter((arrow) => {
            const frame = around.get(arrow.head);
            const isInside = frame !== null && frame !== around.get(arrow.tail);
            return below.has(arrow.head) && !isStored(arrow) && isInside && boxOf(model, arrow.head)?.kind === "op";
        }),
    );
}

const boxOf = (model, id) => (id[0] === "n" ? model.boxes[Number(id.slice(1))] : null);

const DOOR = 'label="" shape=box fixedsize=true width=0.01 height=0.01 penwidth=1 tooltip=" "';

/** DOT of what is visible. `widthOf` measures lines of text: what Graphviz guesses is for other fonts. */
function dotOf(model, seen, direction = "TB", widthOf = () => 0) {
    const inside = new Map();
    const put = (frame, statement) => {
        if (!inside.has(frame)) inside.set(frame, []);
        inside.get(frame).push(statement);
    };
    seen.shown.forEach(([kind, i], k) => {
        const item = kind === "n" ? model.boxes[i] : model.frames[i];
        const attributes = kind === "n" ? item.dot : item.closed;
        const width = widthOf(item.lines ?? [item.title, item.contents ?? ""]) + 2 * MARGIN;
        const least = width > NARROW ? ` width=${(width / 72).toFixed(3)}` : "";
        put(seen.around[k], `${kind}${i} [${attributes ?? ""} id="${kind}${i}"${least}];`);
    });
    const beside = besideIn(model, seen);
    const through = throughIn(model, seen, beside);
    const arrows = [];
    for (const arrow of seen.arrows) {
        const i = arrow.members[0];
        const own = `${model.arrows[i].dot ?? ""} ${labelled(arrow)}`;
        if (through.has(arrow)) {
            const [top, bottom] = direction === "LR" ? ["w", "e"] : ["n", "s"];
            put(boxOf(model, arrow.head).frame, `door${i} [${DOOR}];`);
            arrows.push(`${arrow.tail} -> door${i} [${own} id="e${i}" arrowhead=none headport=${top}];`);
            arrows.push(`door${i} -> ${arrow.head} [${own} id="e${i}d" label="" tailport=${bottom}];`);
        } else {
            arrows.push(`${arrow.tail} -> ${arrow.head} [${own} id="e${i}"${beside.has(arrow) ? " minlen=0" : ""}];`);
        }
    }
    // Frames come after those around them: from the last on, each is whole before it goes into its own.
    const parts = new Map();
    for (const i of [...seen.frames].reverse()) {
        const frame = model.frames[i];
        const nested = (parts.get(i) ?? []).reverse();
        const body = [...(inside.get(i) ?? []), ...nested].join("\n");
        // Attributes stand last: what is nested would take them over.
        const part = `subgraph cluster_${i} {\n${body}\ngraph [${frame.dot ?? ""} id="f${i}"];\n}`;
        const parent = frame.parent ?? null;
        if (!parts.has(parent)) parts.set(parent, []);
        parts.get(parent).push(part);
    }
    const top = (parts.get(null) ?? []).reverse();
    return ["digraph graphc {", model.view.graph ?? "", ...(inside.get(null) ?? []), ...top, ...arrows, "}"].join("\n");
}

/** The label of an arrow that is not just the first one's. */
function labelled({ mark, label, tooltip }) {
    if (tooltip === null) return "";
    const text = [mark, label].filter(Boolean).join(": ");
    const tip = quotedTooltip(tooltip);
    return `label=${quoted([text ? ` ${text} ` : ""])} tooltip=${tip} labeltooltip=${tip}`;
}

const WORKER = `
const ready = Viz.instance();
onmessage = async (event) => {
  try {
    const result = (await ready).render(event.data.dot, { format: "svg" });
    const said = result.errors.map((error) => error.message).join("; ");
    postMessage(result.status === "success" ? { svg: result.output } : { problem: said || "Graphviz failed" });
  } catch (error) {
    postMessage({ problem: String((error && error.message) || error), broken: true });
  }
};`;

let address = null;
let worker = null;

/** The address of the worker's script, which is packed into the page. */
async function engineAddress() {
    if (address === null) {
        const bytes = Uint8Array.from(atob(document.querySelector("script#engine").textContent), (c) =>
            c.charCodeAt(0),
        );
        const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
        const text = await new Response(unpacked).text();
        address = URL.createObjectURL(new Blob([text, "\n", WORKER], { type: "text/javascript" }));
    }
    return address;
}

function stopEngine() {
    worker?.terminate();
    worker = null;
}

/** The SVG text of `dot`. `signal` stops it. Throws an Error that says what went wrong. */
function layOut(dot, signal) {
    return new Promise((resolve, reject) => {
        let timer = null;
        const end = (finish, value, isOver) => {
            clearTimeout(timer);
            if (isOver) stopEngine();
            else if (worker !== null) worker.onmessage = worker.onerror = null;
            finish(value);
        };
        signal.addEventListener("abort", () => end(reject, new Error("cancelled"), true), { once: true });
        timer = setTimeout(() => end(reject, new Error(`no layout in ${PATIENCE} s`), true), PATIENCE * 1000);
        engineAddress().then(
            (from) => {
                if (signal.aborted) return;
                worker ??= new Worker(from);
                worker.onmessage = ({ data }) =>
                    data.svg ? end(resolve, data.svg, false) : end(reject, new Error(data.problem), data.broken);
                worker.onerror = (event) => {
                    event.preventDefault();
                    end(reject, new Error(event.message || "the layout engine does not start"), true);
                };
                worker.postMessage({ dot });
            },
            (error) => end(reject, error, true),
        );
    });
}
