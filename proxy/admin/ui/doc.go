// Package ui is the dashboard: one page that shows what a gateway does, in the
// browser of whoever may ask its admin address.
//
// The page is in [Files], ready to be served: index.html, its script and style,
// the icon, and the licences of the libraries in the script. Nothing else is
// loaded, from nowhere. Package admin serves the files; this package knows
// neither HTTP nor the gateway.
//
// # How it works
//
// The page keeps a stream of /events open, and draws each state of the gateway
// that comes in: the flow from listeners to endpoints, plots of the last minutes,
// the header. Counters only grow, so that rates are the page's own differences.
// The table of connections asks /connections for one page every two seconds, and
// the search box /explain. Changes are posted with a header that no form of
// another page can send. The shapes are those of package status; types.ts repeats
// them, and a test holds the two together.
//
// Names come from clients and from configuration files, and are shown as text
// only: there is no innerHTML in the source, which a test sees to, and the page
// works under a policy that allows no inline script and no inline style.
//
// A configuration can have ten thousand filter chains. The picture has so many
// boxes in each column as can be read, those with the most traffic, and one for
// all others; whatever is searched for or opened gets a box.
//
// # The source
//
// src has the page in TypeScript without a framework, a file for each part;
// main.ts ties them together. graph.ts (which boxes there are) and layout.ts
// (where they are) are pure functions. third_party has the two libraries as they
// come from npm, d3-sankey bundled into one file with what it uses of d3-array;
// package-lock.json pins them.
//
// dist is what [Files] has, and is committed, so that building the gateway takes
// Go alone. "make ui" makes it from src and third_party; esbuild is a Go module,
// which takes neither node nor a network, and a test fails when dist is not what
// src gives. "make ui-check" wants npm: it checks types, and that third_party is
// what the lock file pins.
//
// Package uitest drives the page in Debian's Chromium.
package ui
