// Package design is the look of every page: style sheet, script, icons and components. It imports nothing of the module,
// so that any house's pages can use it.
//
// Components are templ components. They emit no style attribute and no inline script, so that a strict
// Content-Security-Policy holds, and everything but live updates works without script.
package design
