package clienthello_test

import (
	"testing"

	"sluice/tlsutil/clienthello"
	"sluice/tlsutil/clienthello/hellotest"
)

// reasons are why each vector is refused. A hostile hello that is refused for
// another reason than what is hostile about it proves nothing.
var reasons = map[string]string{
	"one_byte_beyond_max":                    "hello larger than inspect.max_bytes",
	"17_KB":                                  "hello larger than inspect.max_bytes",
	"40_KB":                                  "hello larger than inspect.max_bytes",
	"65_records":                             "hello spread over more than 64 records",
	"name_with_nul":                          "host name with a byte that no host name has",
	"name_with_nul_at_the_end":               "host name with a byte that no host name has",
	"name_with_space":                        "host name with a byte that no host name has",
	"name_with_newline":                      "host name with a byte that no host name has",
	"name_with_star":                         "host name with a byte that no host name has",
	"name_with_slash":                        "host name with a byte that no host name has",
	"name_with_colon":                        "host name with a byte that no host name has",
	"name_with_at":                           "host name with a byte that no host name has",
	"name_with_percent":                      "host name with a byte that no host name has",
	"name_with_utf8":                         "host name with a byte that no host name has",
	"name_with_invalid_utf8":                 "host name with a byte that no host name has",
	"name_with_kelvin_sign":                  "host name with a byte that no host name has",
	"name_with_leading_dot":                  "host name with an empty label",
	"name_with_two_dots":                     "host name with an empty label",
	"name_with_two_trailing_dots":            "host name with an empty label",
	"name_with_only_a_dot":                   "host name with an empty label",
	"name_with_label_of_64":                  "host name with a label longer than 63 bytes",
	"name_with_254_bytes":                    "host name longer than 253 bytes",
	"name_with_10000_bytes":                  "host name longer than 253 bytes",
	"duplicate_server_name":                  "duplicate server_name extension",
	"duplicate_server_name_same":             "duplicate server_name extension",
	"duplicate_alpn":                         "duplicate application_layer_protocol_negotiation extension",
	"duplicate_supported_versions":           "duplicate supported_versions extension",
	"duplicate_ech":                          "duplicate encrypted_client_hello extension",
	"duplicate_unknown_extension":            "duplicate extension",
	"duplicate_among_4000_extensions":        "duplicate extension",
	"two_host_names":                         "two host names in the server_name extension",
	"two_host_names_same":                    "two host names in the server_name extension",
	"two_host_names_first_empty":             "two host names in the server_name extension",
	"empty_list_of_names":                    "malformed server_name extension",
	"empty_name_of_other_type":               "malformed server_name extension",
	"empty_server_name_extension":            "malformed server_name extension",
	"server_name_list_too_short":             "malformed server_name extension",
	"data_after_the_server_name_list":        "malformed server_name extension",
	"alpn_empty_name":                        "malformed application_layer_protocol_negotiation extension",
	"alpn_empty_list":                        "malformed application_layer_protocol_negotiation extension",
	"alpn_truncated":                         "malformed application_layer_protocol_negotiation extension",
	"versions_odd":                           "malformed supported_versions extension",
	"versions_empty":                         "malformed supported_versions extension",
	"early_data_not_empty":                   "malformed early_data extension",
	"pre_shared_key_not_last":                "pre_shared_key is not the last extension",
	"ech_unknown_type":                       "malformed encrypted_client_hello extension",
	"ech_empty":                              "malformed encrypted_client_hello extension",
	"ech_empty_payload":                      "malformed encrypted_client_hello extension",
	"ech_with_data_after_it":                 "malformed encrypted_client_hello extension",
	"ech_inner_with_data":                    "malformed encrypted_client_hello extension",
	"ech_truncated":                          "malformed encrypted_client_hello extension",
	"session_id_of_33":                       "legacy_session_id longer than 32 bytes",
	"no_cipher_suites":                       "malformed cipher_suites",
	"no_compression":                         "empty legacy_compression_methods",
	"empty_message":                          "truncated client_hello",
	"data_after_the_extensions":              "data after the extensions",
	"empty_record_first":                     "empty handshake record",
	"empty_record_between":                   "empty handshake record",
	"change_cipher_spec_first":               "change_cipher_spec before the hello",
	"change_cipher_spec_between":             "another record type within the hello",
	"alert_first":                            "alert before the hello",
	"alert_between":                          "another record type within the hello",
	"application_data_between":               "another record type within the hello",
	"other_version_in_second_record":         "another protocol version within the hello",
	"record_of_16385_bytes":                  "record longer than 16384 bytes",
	"server_hello":                           "first handshake message is no client_hello",
	"second_message_in_the_record":           "data after the hello in its record",
	"one_byte_after_the_hello_in_its_record": "data after the hello in its record",
	"sslv2":                                  "hello in the format of SSLv2",
	"sslv2_format_tls10":                     "hello in the format of SSLv2",
}

func TestReasons(t *testing.T) {
	for _, v := range hellotest.Vectors() {
		want := reasons[v.Name]
		if v.Suspect {
			want = "TLS record of another major version than 3"
		}
		if r := parse(v.Bytes, v.Max); r.Reason != want {
			t.Errorf("%s: %q, want %q", v.Name, r.Reason, want)
		}
	}
}

// The message is cut short at every byte, with its length made right: only
// where extensions may begin it is a hello, one without a name.
func TestTruncatedAtEveryByte(t *testing.T) {
	b := hellotest.Builder{ServerNames: []string{"a.test"}, ALPN: []string{"h2"},
		Extensions: []hellotest.Extension{hellotest.ECHOuter()}}
	whole := b.Message()[4:]
	b.NoExtensions = true
	bare := len(b.Message()) - 4
	for n := range whole {
		r := checkInvariants(t, hellotest.Records(hellotest.Handshake(1, whole[:n])), maxHello)
		want := clienthello.Malformed
		if n == bare {
			want = clienthello.NoSNI
		}
		if r.Outcome != want {
			t.Errorf("%d of %d bytes: %v (%s), want %v", n, len(whole), r.Outcome, r.Reason, want)
		}
	}
}

// The same with the list of extensions, whose length is made right too: it is
// a hello between two extensions only, and then one with fewer of them.
func TestExtensionsTruncatedAtEveryByte(t *testing.T) {
	list := []byte{
		0, 43, 0, 3, 2, 3, 4, // supported_versions
		0, 0, 0, 11, 0, 9, 0, 0, 6, 'a', '.', 't', 'e', 's', 't', // server_name
		0, 16, 0, 5, 0, 3, 2, 'h', '2', // ALPN
		0, 42, 0, 0, // early_data
	}
	want := map[int]clienthello.Outcome{0: clienthello.NoSNI, 7: clienthello.NoSNI,
		22: clienthello.TLS, 31: clienthello.TLS, 35: clienthello.TLS}
	bare := hellotest.Builder{NoExtensions: true}.Message()[4:]
	for n := 0; n <= len(list); n++ {
		body := append(append(bare[:len(bare):len(bare)], 0, byte(n)), list[:n]...)
		r := checkInvariants(t, hellotest.Records(hellotest.Handshake(1, body)), maxHello)
		if w, ok := want[n]; ok && r.Outcome != w || !ok && r.Outcome != clienthello.Malformed {
			t.Errorf("%d of %d bytes: %v (%s)", n, len(list), r.Outcome, r.Reason)
		}
	}
}
