// Elements of the page. Whatever a user named enters it as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick: …`) and children; strings become text. */
function element(tag, attributes = {}, ...children) {
    return filled(document.createElement(tag), attributes, children);
}

function drawn(tag, attributes = {}, ...children) {
    return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(made, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
        if (value === undefined || value === null || value === false) continue;
        if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
        else made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return made;
}

function button(text, onclick, attributes = {}) {
    return element("button", { type: "button", onclick, ...attributes }, text);
}

/** What a link does is up to the page: it leads to a node, never to an address. */
function link(text, onclick, attributes = {}) {
    return button(text, onclick, { class: "link", ...attributes });
}

const counted = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A kind as a class: one word, whatever it says. */
const classOf = (kind) =>
    String(kind ?? "")
        .toLowerCase()
        .replace(/[^a-z0-9_]+/g, "-");
