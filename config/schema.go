package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// schema says what may stand in one kind of block. The whole format is the
// tree under [topLevel]: the check of names walks the files beside it, and
// the decoders can only read what it lists, so that the two never differ.
type schema struct {
	label    string // what the label is; empty for a block without one
	attrs    []string
	blocks   map[string]*schema
	anyAttrs bool // the attributes are the user's own names
	once     bool // must stand as written: a dynamic block cannot repeat it

	hcl *hcl.BodySchema // of attrs and blocks
}

// known lists everything that may stand in the block, for a user who wrote
// something else.
func (s *schema) known() []string {
	return slices.Sorted(maps.Keys(s.kinds()))
}

// kinds maps the names of s to what they are.
func (s *schema) kinds() map[string]string {
	kinds := make(map[string]string, len(s.attrs)+len(s.blocks))
	for _, name := range s.attrs {
		kinds[name] = "attribute"
	}
	for name := range s.blocks {
		kinds[name] = "block"
	}
	return kinds
}

func (s *schema) has(attr string) bool { return slices.Contains(s.attrs, attr) }

// of makes the schema of a block from the names of its attributes.
func of(attrs string, blocks map[string]*schema) *schema {
	s := &schema{attrs: strings.Fields(attrs), blocks: blocks, hcl: &hcl.BodySchema{}}
	for _, name := range s.attrs {
		s.hcl.Attributes = append(s.hcl.Attributes, hcl.AttributeSchema{Name: name})
	}
	for _, name := range slices.Sorted(maps.Keys(blocks)) {
		header := hcl.BlockHeaderSchema{Type: name}
		if label := blocks[name].label; label != "" {
			header.LabelNames = []string{label}
		}
		s.hcl.Blocks = append(s.hcl.Blocks, header)
	}
	return s
}

// labelled gives s a label.
func labelled(label string, s *schema) *schema {
	s.label = label
	return s
}

// topLevel is the format, from the top level of a file down.
var topLevel = of("", map[string]*schema{
	"variable":   {label: "name", attrs: []string{"type", "default"}, once: true, hcl: &hcl.BodySchema{}},
	"locals":     {anyAttrs: true, once: true, hcl: &hcl.BodySchema{}},
	"log":        of("level format", nil),
	"access_log": of("enabled path types interval", nil),
	"runtime":    of("workers splice max_connections watch drain_timeout readiness_delay pid_file", nil),
	"admin":      adminSchema(),
	"metrics":    of("address", nil),
	"listener":   listenerSchema(),
	"cluster":    clusterSchema(),
	"test":       testSchema(),
})

func adminSchema() *schema {
	return of("enabled address mode group token_file", map[string]*schema{
		"tls": of("", map[string]*schema{"certificate": of("cert_file key_file", nil)}),
	})
}

func keepaliveSchema() *schema { return of("enabled idle interval probes", nil) }

func listenerSchema() *schema {
	return labelled("name", of("address addresses freebind backlog tcp_user_timeout max_connections on_no_match on_change", map[string]*schema{
		"tcp_keepalive":        keepaliveSchema(),
		"inspect":              of("timeout max_bytes", nil),
		"accept_limit":         of("rate burst", nil),
		"per_source":           of("max_connections rate burst", nil),
		"access":               accessSchema(),
		"proxy_protocol":       of("mode trusted", nil),
		"filter_chain":         labelled("name", filterChainSchema(true)),
		"default_filter_chain": filterChainSchema(false),
	}))
}

func accessSchema() *schema { return of("allow deny", nil) }

func filterChainSchema(matches bool) *schema {
	blocks := map[string]*schema{
		"access": accessSchema(),
		"tls": of("min_version max_version cipher_suites ecdh_curves alpn_protocols", map[string]*schema{
			"certificate":     of("cert_file key_file", nil),
			"client_auth":     of("mode ca_file crl_file allowed_sans", nil),
			"session_tickets": of("key_files", nil),
		}),
		"route": of("cluster hash_on idle_timeout half_close_timeout max_downstream_connection_duration", map[string]*schema{
			"weighted_cluster": labelled("cluster", of("weight", nil)),
		}),
	}
	if matches {
		blocks["match"] = of("server_names application_protocols transport_protocol destination_port "+
			"destination_prefix_ranges source_prefix_ranges direct_source_prefix_ranges source_ports ja4", nil)
	}
	return of("on_upstream_failure on_change", blocks)
}

func clusterSchema() *schema {
	return labelled("name", of("lb_policy hash_on slow_start panic_threshold retry_early_reset "+
		"connect_timeout max_connect_attempts endpoints source_address source_transparent "+
		"on_endpoint_unhealthy on_endpoint_removed", map[string]*schema{
		"discovery": labelled("type", of("host port type refresh min_ttl resolvers path", nil)),
		"health_check": of("type interval timeout jitter healthy_threshold unhealthy_threshold "+
			"send expect path host expected_statuses port", nil),
		"endpoint":          labelled("address", of("name weight priority max_connections", nil)),
		"limits":            of("max_connections max_pending queue_timeout", nil),
		"outlier_detection": of("consecutive_failures base_ejection_time max_ejection_time max_ejection_percent", nil),
		"tcp_keepalive":     keepaliveSchema(),
		"tls": of("server_name ca_file alpn_protocols insecure_skip_verify", map[string]*schema{
			"certificate": of("cert_file key_file", nil),
		}),
		"proxy_protocol": of("version tlvs pass_through_tlvs", nil),
	}))
}
