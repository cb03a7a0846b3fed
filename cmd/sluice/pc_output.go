package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// outputs are the formats of proxy-config, the default first.
var outputs = []string{"table", "short", "wide", "json", "yaml"}

// view is an answer: for programs its value, and for people its tables.
type view struct {
	value  any
	tables func(wide bool) []table // with a blank line between two
}

// print writes a view in one of the outputs.
func (v view) print(w io.Writer, output string) error {
	switch output {
	case "json":
		return writeJSON(w, v.value)
	case "yaml":
		return writeYAML(w, v.value)
	}
	for i, t := range v.tables(output == "wide") {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		if err := t.write(w); err != nil {
			return err
		}
	}
	return nil
}

// writeYAML writes a value as YAML, with the names that it has in JSON and in
// the same order, so that there is one description of both.
func writeYAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	document, err := yamlNode(d)
	if err != nil {
		return err
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(document); err != nil {
		return err
	}
	return e.Close()
}

// yamlNode makes a node of the next JSON value.
func yamlNode(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	node := &yaml.Node{Kind: yaml.ScalarNode}
	switch v := token.(type) {
	case json.Delim:
		node.Kind = yaml.SequenceNode
		if v == '{' {
			node.Kind = yaml.MappingNode
		}
		for d.More() { // of an object, each name and each value
			child, err := yamlNode(d)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, child)
		}
		if len(node.Content) == 0 {
			node.Style = yaml.FlowStyle // [] or {}
		}
		_, err = d.Token() // the end
		return node, err
	case json.Number:
		node.Value = v.String()
	case string:
		node.SetString(v)
	case bool:
		node.Value = fmt.Sprint(v)
	case nil:
		node.Value = "null"
	}
	return node, nil
}
