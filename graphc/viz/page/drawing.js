// A drawing in the page: SVG with nothing in it that links or runs, and what belongs to which box, arrow and frame.

const XLINK = "http://www.w3.org/1999/xlink";
const NAMED = ["graph", "node", "edge", "cluster"];

/** A copy of an SVG element that has only the elements and attributes of the lists, as clean.py keeps them. */
function cleaned(root, safe) {
    const elements = new Set(safe.elements);
    const attributes = new Set(safe.attributes);
    const copy = drawn("svg");
    const copyAttributes = (from, to) => {
        for (const { name, value } of from.attributes) {
            const isInside = !value.toLowerCase().includes("url(") || value.startsWith("url(#");
            if (isInside && (attributes.has(name) || name === "xml:space")) to.setAttribute(name, value);
        }
    };
    copyAttributes(root, copy);
    const work = [[root, copy]];
    while (work.length) {
        const [from, to] = work.pop();
        for (const child of from.childNodes) {
            if (child.nodeType === Node.TEXT_NODE) to.append(child.data);
            if (child.nodeType !== Node.ELEMENT_NODE || child.namespaceURI !== SVG) continue;
            const tag = child.localName;
            if (tag === "title" && NAMED.some((name) => from.classList.contains(name))) continue;
            if (tag !== "a" && (tag === "svg" || !elements.has(tag))) continue;
            const made = drawn(tag === "a" ? "g" : tag);
            copyAttributes(child, made);
            const tooltip = (child.getAttributeNS(XLINK, "title") ?? "").trim();
            if (tooltip) made.append(drawn("title", {}, tooltip));
            to.append(made);
            work.push([child, made]);
        }
    }
    return copy;
}

/** The drawing of SVG text. Throws an Error where it is none. */
function parsed(text, safe) {
    const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    if (root.namespaceURI !== SVG || root.localName !== "svg") throw new Error("the layout is not SVG");
    return cleaned(root, safe);
}

/** Takes the size out of a drawing, puts all of it into one group that moves, and finds its parts. */
function prepared(svg, model, seen, name) {
    const size = (svg.getAttribute("viewBox") ?? "")
        .trim()
        .split(/[\s,]+/)
        .map(Number);
    const plain = (key) => parseFloat(svg.getAttribute(key)) || 100;
    const [left, top, width, height] =
        size.length === 4 && size.every(Number.isFinite) ? size : [0, 0, plain("width"), plain("height")];
    for (const key of ["viewBox", "width", "height"]) svg.removeAttribute(key);
    const paper = svg.querySelector(".graph polygon");
    if (paper && !paper.closest(".node, .edge, .cluster")) paper.remove(); // the page has its own background
    const moving = drawn("g", { class: "moving" });
    moving.append(...svg.childNodes);
    svg.append(moving);
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", name);
    const parts = new Map();
    const arrows = new Map();
    for (const part of svg.querySelectorAll("g[id]")) {
        const match = /^([nef])(\d+)/.exec(part.id);
        if (!match || !(part.matches(".node, .edge, .cluster") || !model)) continue;
        if (match[1] !== "e") parts.set(match[0], part);
        else arrows.set(Number(match[2]), [...(arrows.get(Number(match[2])) ?? []), part]);
    }
    for (const frame of svg.querySelectorAll(".cluster")) alignTitle(frame);
    const drawing = { svg, moving, left, top, width, height, parts, arrows, seen };
    if (model) dress(drawing, model);
    return drawing;
}

/** Starts a frame's title at its left edge: the layout engine centres it by widths that are not those of the font. */
function alignTitle(frame) {
    const shape = frame.querySelector("path, polygon");
    const text = frame.querySelector("text");
    const numbers = (shape?.getAttribute("d") ?? shape?.getAttribute("points") ?? "").match(/-?[\d.]+/g) ?? [];
    const left = Math.min(...numbers.filter((_, k) => k % 2 === 0).map(Number));
    if (!text || !Number.isFinite(left)) return;
    text.setAttribute("x", String(left + 8));
    text.setAttribute("text-anchor", "start");
}

/** Classes by kind, for colours; names for those who do not see; and the marks that open and close. */
function dress(drawing, model) {
    drawing.svg.classList.add("coloured");
    for (const [id, part] of drawing.parts) {
        const i = Number(id.slice(1));
        const item = id[0] === "n" ? model.boxes[i] : model.frames[i];
        if (!item) continue;
        const isOpen = part.classList.contains("cluster");
        // A closed frame has the colours of a box, and the drawing says of which kind.
        const given = [...part.classList].filter((name) => name !== "node").join(" ") || "group";
        const own = id[0] === "f" && !isOpen ? `closed ${given}` : classOf(item.kind);
        part.setAttribute("class", [isOpen ? "cluster" : "node", own, classOf(item.change)].join(" ").trim());
        part.setAttribute("tabindex", "-1");
        part.setAttribute("role", "button");
        part.setAttribute("aria-label", (item.lines ?? [item.title, item.contents]).filter(Boolean).join(", "));
        if (id[0] === "f") part.setAttribute("aria-expanded", String(isOpen));
    }
    drawing.seen?.arrows.forEach((arrow, k) => {
        for (const part of drawing.arrows.get(arrow.members[0]) ?? []) {
            const first = model.arrows[arrow.members[0]];
            part.setAttribute("class", `edge ${classOf(model.boxes[first.tail].kind)} ${classOf(first.change)}`.trim());
            part.dataset.arrow = String(k);
            part.setAttribute("aria-hidden", "true");
        }
    });
}

/** Buttons on the frames of a drawing that stands in the page: − and +, and ⋯ for all repetitions of a block. */
function addMarks(drawing, model, unfolded) {
    const boxes = [];
    for (const [id, part] of drawing.parts) {
        if (id[0] !== "f") continue;
        const shape = part.querySelector("path, polygon, ellipse");
        if (shape) boxes.push([id, part, shape.getBBox()]);
    }
    for (const [id, part, box] of boxes) {
        const isOpen = part.classList.contains("cluster");
        const frame = model.frames[Number(id.slice(1))];
        const marks = [[isOpen ? "−" : "+", "mark", isOpen ? "Close" : "Open"]];
        if (isOpen && frame.kind === "repeat") {
            const isAll = unfolded.has(Number(id.slice(1)));
            marks.push(["⋯", "mark fold", isAll ? "Show one repetition" : `Show all ${frame.times} repetitions`]);
        }
        marks.forEach(([sign, name, title], k) => {
            const [x, y] = [box.x + box.width - 3 - 18 * k, box.y];
            const circle = drawn("circle", { cx: x, cy: y, r: 7 });
            const text = drawn("text", { x, y: y + 3.8, "text-anchor": "middle", "font-size": 11 }, sign);
            part.append(drawn("g", { class: name, "aria-hidden": "true" }, drawn("title", {}, title), circle, text));
        });
    }
}

/** The smallest box around the shape of a part, in pixels of the screen. */
function placeOf(part) {
    return (part.querySelector("path, polygon, ellipse, rect") ?? part).getBoundingClientRect();
}
