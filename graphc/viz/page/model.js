// From a view, and which of its frames are open, to what is visible of it, by the rules of graphc/viz/collapse.py.

/** What is asked of a view again and again: who is in which frame, and which boxes stand for a node. */
function modelOf(view) {
    const boxes = view.boxes ?? [];
    const frames = view.frames ?? [];
    const arrows = view.arrows ?? [];
    const first = frames.map(() => boxes.length);
    const inside = frames.map(() => []);
    const children = frames.map(() => []);
    const roots = [];
    const level = [];
    const byNode = new Map();
    boxes.forEach((box, i) => {
        if (box.frame !== null && box.frame !== undefined) {
            inside[box.frame].push(i);
            first[box.frame] = Math.min(first[box.frame], i);
        }
        for (const node of box.nodes ?? []) {
            if (!byNode.has(node)) byNode.set(node, []);
            byNode.get(node).push(i);
        }
    });
    frames.forEach((frame, i) => {
        const parent = frame.parent ?? null;
        (parent === null ? roots : children[parent]).push(i);
        // A block around repetitions counts as no level of its own: it is open whenever what is around it is.
        level.push(parent === null ? 0 : level[parent] + (frames[parent].kind === "repeat" ? 0 : 1));
    });
    for (let i = frames.length - 1; i >= 0; i--) {
        const parent = frames[i].parent ?? null;
        if (parent !== null) first[parent] = Math.min(first[parent], first[i]);
    }
    const into = boxes.map(() => []);
    const from = boxes.map(() => []);
    arrows.forEach((arrow, i) => {
        into[arrow.head].push(i);
        from[arrow.tail].push(i);
    });
    return { view, boxes, frames, arrows, first, inside, children, roots, level, byNode, into, from };
}

/** The frames around a frame and itself, from the innermost outwards. */
function* chain(model, frame) {
    while (frame !== null && frame !== undefined) {
        yield frame;
        frame = model.frames[frame].parent;
    }
}

/** The innermost frame around both boxes: that of the block of which they are repetitions. */
function blockOf(model, a, b) {
    const around = new Set(chain(model, model.boxes[a].frame));
    for (const frame of chain(model, model.boxes[b].frame)) if (around.has(frame)) return frame;
    return null;
}

/** For each frame the outermost closed one around it, or itself; null if all are open. */
function closedAround(model, open) {
    const closed = [];
    model.frames.forEach((frame, i) => {
        const outer = frame.parent === null || frame.parent === undefined ? null : closed[frame.parent];
        closed.push(outer !== null ? outer : open.has(i) ? null : i);
    });
    return closed;
}

/** Who stands for each box: `["n", box]` or `["f", frame]`. Of an open block one repetition stands for all. */
function standsFor(model, open, unfolded) {
    const closed = closedAround(model, open);
    return model.boxes.map((_, start) => {
        let i = start;
        for (;;) {
            const like = model.boxes[i].like ?? null;
            if (like === null || like >= i) break; // the first repetition comes first
            const block = blockOf(model, i, like);
            if (block === null || unfolded.has(block) || closed[block] !== null) break;
            i = like;
        }
        const frame = model.boxes[i].frame ?? null;
        const outer = frame === null ? null : closed[frame];
        return outer === null ? ["n", i] : ["f", outer];
    });
}

const idOf = ([kind, i]) => kind + i;

/** All that is to be drawn: boxes, closed frames, open frames, arrows, and by box the id of what stands for it. */
function visible(model, open, unfolded) {
    const stands = standsFor(model, open, unfolded);
    const order = ([kind, i]) => (kind === "n" ? i : model.first[i]);
    const around = ([kind, i]) => (kind === "n" ? model.boxes[i].frame : model.frames[i].parent) ?? null;
    const isMapped = (arrow) => [arrow.tail, arrow.head].some((i) => stands[i][0] !== "n" || stands[i][1] !== i);
    const shown = [...new Map(stands.map((each) => [idOf(each), each])).values()];
    shown.sort((a, b) => order(a) - order(b) || (a[0] === b[0] ? a[1] - b[1] : a[0] < b[0] ? -1 : 1));
    const kept = new Set();
    for (const each of shown) {
        for (const frame of chain(model, around(each))) {
            if (kept.has(frame)) break;
            kept.add(frame);
        }
    }
    // An arrow from one repetition to the next of a block of which only one is shown would lead back.
    const goesRound = (arrow, tail, head) => {
        if (!isMapped(arrow) || order(tail) < order(head)) return false;
        const blocks = new Set([...chain(model, around(tail))].filter((i) => model.frames[i].kind === "repeat"));
        return [...chain(model, around(head))].some((i) => blocks.has(i));
    };
    const key = ({ tail, head, mark, label }) => JSON.stringify([tail, head, mark ?? "", label ?? ""]);
    const own = new Set(model.arrows.filter((arrow) => !isMapped(arrow)).map(key));
    const groups = new Map();
    const turns = new Map();
    model.arrows.forEach((arrow, i) => {
        const [tail, head] = [stands[arrow.tail], stands[arrow.head]];
        if (idOf(tail) === idOf(head) || goesRound(arrow, tail, head)) return;
        const ends = `${idOf(tail)} ${idOf(head)}`;
        if (tail[0] === "f" || head[0] === "f") {
            if (!groups.has(ends)) groups.set(ends, []);
            groups.get(ends).push(i);
        } else if (!isMapped(arrow)) {
            groups.set(`${ends} ${i}`, [i]); // two arrows between the same two boxes are two operands
        } else if (head[0] === "n" && head[1] === arrow.head) {
            // From any of the repetitions: one arrow for all, unless the same value is read twice.
            const pair = `${arrow.tail} ${arrow.head}`;
            const turn = (turns.get(pair) ?? -1) + 1;
            turns.set(pair, turn);
            const like = `${ends} turn ${turn}`;
            if (!groups.has(like)) groups.set(like, []);
            groups.get(like).push(i);
        } else {
            // What a later repetition reads, and the first one reads from elsewhere.
            const like = key({ ...arrow, tail: tail[1], head: head[1] });
            if (!own.has(like) && !groups.has(like)) groups.set(like, [i]);
        }
    });
    return {
        shown,
        around: shown.map(around),
        boxes: shown.filter(([kind]) => kind === "n").map(([, i]) => i),
        closed: shown.filter(([kind]) => kind === "f").map(([, i]) => i),
        frames: [...kept].sort((a, b) => a - b),
        arrows: [...groups.values()].map((members) => joined(model, members, stands)),
        stands: stands.map(idOf),
    };
}

/** One arrow for several between the same two ends. `text` is set where its label is not the first one's. */
function joined(model, members, stands) {
    const arrows = members.map((i) => model.arrows[i]);
    const [tail, head] = [stands[arrows[0].tail], stands[arrows[0].head]];
    const labels = new Set(arrows.map((arrow) => arrow.label ?? ""));
    const sources = new Set(arrows.map((arrow) => arrow.tail));
    const several = sources.size > 1;
    const label = labels.size === 1 && !several ? [...labels][0] : several ? `${sources.size} tensors` : "";
    const mark = members.length === 1 && head[0] === "n" ? (arrows[0].mark ?? "") : "";
    const isPlain = members.length === 1 && mark === (arrows[0].mark ?? "");
    const tooltip = isPlain ? null : [...new Set(arrows.slice(0, 6).flatMap((arrow) => arrow.tooltip ?? []))];
    return { tail: idOf(tail), head: idOf(head), members, label, mark, tooltip };
}

/** The frames that a depth opens: those with fewer than `depth` open frames around them. */
function openToDepth(model, depth) {
    return new Set([...model.frames.keys()].filter((i) => model.level[i] < depth));
}

/** How many depths there are to choose from. */
const deepest = (model) => model.level.reduce((most, level) => Math.max(most, level + 1), 0);

const opensAtFirst = (model) => new Set(model.frames.flatMap((frame, i) => (frame.open ? [i] : [])));

/** A frame and all frames in it. */
function below(model, frame) {
    const found = [frame];
    for (let k = 0; k < found.length; k++) found.push(...model.children[found[k]]);
    return found;
}

/** How many boxes would be seen, without the work of arrows. */
function countVisible(model, open, unfolded) {
    return new Set(standsFor(model, open, unfolded).map(idOf)).size;
}

/** The most that opens without being too much to lay out: by depth, and all closed at worst. */
function openWithin(model, most) {
    for (let depth = deepest(model); depth > 0; depth--) {
        const open = openToDepth(model, depth);
        if (countVisible(model, open, new Set()) <= most) return open;
    }
    return new Set();
}

/** `open` with all frames open that hide `box`, or the box that stands for it while its block is folded. */
function opened(model, open, unfolded, box) {
    const all = new Set([...open, ...chain(model, model.boxes[box].frame)]);
    for (;;) {
        const [kind, i] = standsFor(model, all, unfolded)[box];
        if (kind === "n") return all;
        all.add(i);
    }
}
