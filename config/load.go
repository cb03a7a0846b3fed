package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Options is what a configuration takes from outside its files. The zero
// value is usable.
type Options struct {
	Vars     map[string]string // -var name=value
	VarFiles []string          // -var-file, relative to the working directory; a later one wins
	Environ  []string          // NAME=value, for env() and SLUICE_VAR_name; nil: os.Environ()
}

// Load reads a file, or all *.hcl files of a directory in the order of their
// names as one configuration. The Config is nil when there is any error; the
// Diagnostics are never nil and may hold warnings beside a Config. Load reads
// files and does nothing else; it may be called at any time from anywhere.
func Load(path string, o Options) (*Config, *Diagnostics) {
	l := newLoader(o)
	l.readPath(path)
	return l.load(o)
}

// LoadSource is [Load] for a configuration that is in memory. Relative paths
// in it are relative to the directory of filename, which need not exist.
func LoadSource(filename string, src []byte, o Options) (*Config, *Diagnostics) {
	l := newLoader(o)
	l.parse(filename, src)
	return l.load(o)
}

// loader holds what the phases of one load hand to each other.
type loader struct {
	*report
	sources   []*source // the files that could be parsed
	variables map[string]*variable
	locals    map[string]*local
	environ   map[string]string
	pure      map[string]function.Function
	functions map[string]map[string]function.Function // by file
	material  *material
	now       time.Time // certificates are judged at this time

	secretLoops int // dynamic blocks whose for_each came from env() or file(), so far

	longPlainList int // the constant, but for tests

	// What was decoded, in the order in which it was written.
	listeners []*listenerDecl
	clusters  []*clusterDecl
	tests     []*testDecl
	single    map[string]hcl.Range // blocks that there is one of: where they stand
	admin     ownPlace             // the admin address
	metrics   ownPlace             // the metrics address
	config    *Config
}

func newLoader(o Options) *loader {
	return &loader{
		report:    newReport(),
		variables: map[string]*variable{},
		locals:    map[string]*local{},
		environ:   environment(o.Environ),
		pure:      pureFunctions(),
		functions: map[string]map[string]function.Function{},
		material:  newMaterial(),
		now:       time.Now(),
		single:    map[string]hcl.Range{},
		config:    defaults(),

		longPlainList: longPlainList,
	}
}

// load runs all phases after reading.
func (l *loader) load(o Options) (*Config, *Diagnostics) {
	l.declareVariables()
	l.declareLocals()
	l.checkAllNames()
	l.setVariables(o)
	l.evaluateLocals()
	l.decodeAll()
	l.checkAll()
	diags := l.done()
	if diags.HasErrors() {
		return nil, diags
	}
	if l.failures > 0 {
		panic("BUG: a value is missing, and no diagnostic says why")
	}
	for _, d := range l.listeners {
		l.config.Listeners = append(l.config.Listeners, d.Listener)
	}
	for _, d := range l.clusters {
		l.config.Clusters = append(l.config.Clusters, d.Cluster)
	}
	l.config.files = l.texts()
	for _, d := range l.tests {
		l.config.Tests = append(l.config.Tests, d.Test)
	}
	return l.config, diags
}

// checkAllNames looks at the files as they are written.
func (l *loader) checkAllNames() {
	for _, src := range l.sources {
		l.checkNames(src.body)
	}
	s := scope{report: l.report, variables: map[string]hcl.Range{}, locals: map[string]hcl.Range{}}
	for name, v := range l.variables {
		s.variables[name] = v.at
	}
	for name, x := range l.locals {
		s.locals[name] = x.attr.NameRange
	}
	for _, src := range l.sources {
		s.checkVariables(src.body, nil)
	}
}

// decodeAll decodes the blocks of all files, each file in its own context
// because file() is relative to the file that calls it.
func (l *loader) decodeAll() {
	values := make(map[string]cty.Value, len(l.locals))
	for name, x := range l.locals {
		values[name] = x.value
	}
	for _, src := range l.sources {
		ctx := l.contextFor(src.name, l.namespace(values))
		body := dynblock.Expand(src.body, ctx, dynblock.OptCheckForEach(l.checkForEach))
		top := l.open(body, topLevel, &hcl.Block{}, ctx, false)
		for _, block := range top.nested {
			b := top.inner(block)
			switch block.Type {
			case "log", "access_log", "runtime", "admin", "metrics":
				l.decodeSingle(b)
			case "listener":
				l.decodeListener(b)
			case "cluster":
				l.decodeCluster(b)
			case "test":
				l.decodeTest(b)
			}
		}
	}
}

// checkForEach ends the expansion of a dynamic block over a value that is
// missing because of an error, without another word about it.
func (l *loader) checkForEach(v cty.Value, expr hcl.Expression, _ *hcl.EvalContext) hcl.Diagnostics {
	if v.ContainsMarked() {
		l.secretLoops++
	}
	if v.IsKnown() {
		return nil
	}
	l.incomplete = true
	return hcl.Diagnostics{{Severity: hcl.DiagError, Subject: expr.Range().Ptr(), Extra: reported{}}}
}

// decodeSingle decodes a block that a configuration has once, whichever of
// its files it stands in.
func (l *loader) decodeSingle(b *block) {
	if first, ok := l.single[b.kind]; ok {
		l.errorf(b.def, "Duplicate "+b.kind, "There is one %s for the whole gateway, and it stands at %s already. Put the two together.", b.kind, posOf(first))
	} else {
		l.single[b.kind] = b.def
	}
	// After an error nothing comes of it, but all that is wrong is reported.
	switch b.kind {
	case "log":
		l.config.Log = decodeLog(b)
	case "access_log":
		l.config.AccessLog = decodeAccessLog(b)
	case "runtime":
		l.config.Runtime = decodeRuntime(b)
	case "admin":
		l.config.Admin, l.admin = decodeAdmin(b)
	case "metrics":
		l.config.Metrics, l.metrics = decodeMetrics(b)
	}
}

// checkAll runs the checks over several blocks.
func (l *loader) checkAll() {
	if len(l.listeners) == 0 && !l.incomplete {
		l.errorNowhere("No listener", "There is nothing to do: add a listener block.")
	}
	l.checkDuplicates()
	l.checkReferences()
	l.checkAddresses()
	l.checkOwnAddresses()
	l.checkTests()
	for _, d := range l.listeners {
		l.checkChains(d)
		l.checkAccess(d)
	}
}
