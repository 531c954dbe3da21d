"use strict";
// The parts of a page that are made by its script, out of `texts`: every text once, whole where all of it prints, else
// printable text and notation in turn.
const elements = (texts) => {
  // Elements are made here and filled with text only, so that nothing in the data can become an element.
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const plain = (index) => {
    const shown = index < 0 ? "" : texts[index];
    return typeof shown === "string" ? shown : shown.join("");
  };

  const fill = (element, index) => {
    const shown = index < 0 ? "" : texts[index];
    const parts = typeof shown === "string" ? [shown] : shown;
    if (!plain(index).trim()) {
      const blanks = plain(index).length;
      element.append(make("i", "none", blanks ? `(${blanks} blank characters)` : "(empty)"));
      return element;
    }
    parts.forEach((part, i) => element.append(i % 2 ? make("mark", "", part) : document.createTextNode(part)));
    return element;
  };

  // One line of a list of terms.
  const term = (label, content, className) => {
    const row = make("div", className);
    const detail = make("dd");
    detail.append(content);
    row.append(make("dt", "", label), detail);
    return row;
  };

  const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

  return { make, plain, fill, term, counted };
};
