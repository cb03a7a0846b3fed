package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// mark is a kind of cty mark: a property of a value that goes along with
// everything computed from it.
type mark string

// secret marks what came from env() or file(): it is used like any value, but
// neither a diagnostic nor whoever shows the configuration repeats it. Once
// the gateway runs, the name of a block that a dynamic block made is shown as
// any other.
const secret mark = "secret"

// pureFunctions are those that depend on nothing but their arguments.
func pureFunctions() map[string]function.Function {
	return map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc,
		"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": bounded(stdlib.ParseIntFunc),

		"chomp": stdlib.ChompFunc, "format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc,
		"indent": stdlib.IndentFunc, "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc,
		"replace": stdlib.ReplaceFunc, "split": stdlib.SplitFunc, "strlen": stdlib.StrlenFunc,
		"strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc,
		"trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc,
		"trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,
		"regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc, "regexreplace": stdlib.RegexReplaceFunc,

		"chunklist": stdlib.ChunklistFunc, "coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc,
		"compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc,
		"distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc,
		"index": stdlib.IndexFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc,
		"lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc, "range": stdlib.RangeFunc,
		"reverse": stdlib.ReverseListFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc,
		"values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
		"setproduct": stdlib.SetProductFunc, "setunion": stdlib.SetUnionFunc,
		"setintersection": stdlib.SetIntersectionFunc, "setsubtract": stdlib.SetSubtractFunc,

		"csvdecode": stdlib.CSVDecodeFunc, "jsondecode": bounded(stdlib.JSONDecodeFunc), "jsonencode": stdlib.JSONEncodeFunc,
		"tobool":   stdlib.MakeToFunc(cty.Bool),
		"tolist":   stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
		"tomap":    stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
		"tonumber": bounded(stdlib.MakeToFunc(cty.Number)),
		"toset":    stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"tostring": stdlib.MakeToFunc(cty.String),
	}
}

// bounded is a function that makes values of text, without such that take all
// time or memory of whoever uses them: JSON without end, and numbers such as
// 1e99999999, which [loader.checkNumbers] refuses where they are written.
func bounded(f function.Function) function.Function {
	check := func(args []cty.Value) error {
		text := args[0]
		if text.Type() == cty.String && text.IsKnown() && !text.IsNull() && jsonTooDeep(text.AsString(), maxNesting) {
			return function.NewArgErrorf(0, "more than %d brackets are one inside of another", maxNesting)
		}
		return nil
	}
	return function.New(&function.Spec{
		Params: f.Params(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := check(args); err != nil {
				return cty.NilType, err
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			value, err := f.Call(args)
			if err == nil && holdsHugeNumber(value) {
				return cty.NilVal, function.NewArgErrorf(0, "no number here can be so large or so small")
			}
			return value, err
		},
	})
}

// holdsHugeNumber reports whether a value is, or has in it, a huge number.
func holdsHugeNumber(value cty.Value) bool {
	if !value.CanIterateElements() {
		return isHugeNumber(value)
	}
	for it := value.ElementIterator(); it.Next(); {
		if _, element := it.Element(); holdsHugeNumber(element) {
			return true
		}
	}
	return false
}

// functionsFor returns the functions that expressions of a file may call.
func (l *loader) functionsFor(file string) map[string]function.Function {
	if all := l.functions[file]; all != nil {
		return all
	}
	all := maps.Clone(l.pure)
	all["env"] = envFunction(l.environ)
	all["file"] = fileFunction(directoryOf(file), l.read)
	l.functions[file] = all
	return all
}

// envFunction is env("NAME") and env("NAME", "default").
func envFunction(environ map[string]string) function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam: &function.Parameter{Name: "default", Type: cty.String, AllowNull: true},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) > 2 {
				return cty.NilVal, errors.New("env takes a name and one default")
			}
			name := args[0].AsString()
			if value, ok := environ[name]; ok {
				return cty.StringVal(value).Mark(secret), nil
			}
			if len(args) < 2 {
				return cty.NilVal, fmt.Errorf("%s is not set in the environment: set it, or give a default, env(%q, \"...\")", name, name)
			}
			return args[1].Mark(secret), nil
		},
	})
}

// maxFileFunction is how much file() reads; a configuration is no place for
// more, and an endless file must not use up the memory.
const maxFileFunction = 16 << 20

// fileFunction is file("path"), relative to the directory of the file that
// calls it. read takes note of what was.
func fileFunction(dir string, read *Sources) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			path := args[0].AsString()
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			info, err := os.Stat(path)
			switch {
			case err != nil:
				read.file(path, nil, err)
				return cty.NilVal, fmt.Errorf("cannot read %s: %v", path, reasonOf(err))
			case !info.Mode().IsRegular():
				return cty.NilVal, fmt.Errorf("cannot read %s: it is not a regular file", path)
			case info.Size() > maxFileFunction:
				return cty.NilVal, fmt.Errorf("cannot read %s: it is larger than %d MiB", path, maxFileFunction>>20)
			}
			text, err := ReadFile(path)
			read.file(path, text, err)
			if err != nil {
				return cty.NilVal, fmt.Errorf("cannot read %s: %v", path, reasonOf(err))
			}
			if !utf8.Valid(text) {
				return cty.NilVal, fmt.Errorf("cannot use %s: it is not UTF-8 text", path)
			}
			return cty.StringVal(string(text)).Mark(secret), nil
		},
	})
}
