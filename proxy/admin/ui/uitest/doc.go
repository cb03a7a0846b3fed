// Package uitest drives the dashboard page in Debian's Chromium, for tests.
//
// [Start] starts a browser without a window, which the tests of a package share.
// [Browser.Open] opens the page of any gateway, real or made up, in a tab that
// shares nothing with others; the methods of [Page] do and see what a person at
// the page does and sees. They fail the test when something does not come about
// within [Patience].
//
// A page notes what its console said and which addresses it asked for.
// [Page.CheckQuiet] fails the test when there was anything of the first, or of
// the second outside of the page's own origin.
//
// It is for tests only: nothing that is shipped may import it.
package uitest
