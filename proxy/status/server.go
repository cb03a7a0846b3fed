package status

import "time"

// Server is the process.
type Server struct {
	Version        string        `json:"version"`
	Go             string        `json:"go"`
	PID            int           `json:"pid"`
	State          string        `json:"state"` // starting running draining
	Started        time.Time     `json:"started"`
	Uptime         float64       `json:"uptime_ms"`
	Generation     int           `json:"generation"` // of the process: 1, and one more with each upgrade
	Workers        int           `json:"workers"`
	Splice         string        `json:"splice"` // auto off
	Connections    int           `json:"connections"`
	MaxConnections int64         `json:"max_connections"` // that there may be, by configuration or descriptors
	Configuration  Configuration `json:"configuration"`
	Older          []Generation  `json:"older,omitempty"` // processes before this one that still drain, the oldest first
}

// Generation is a process that drains after an upgrade.
type Generation struct {
	Generation  int    `json:"generation"`
	PID         int    `json:"pid"`
	Version     string `json:"version"`
	Connections int    `json:"connections"` // that it still has
}

// Configuration is what the process runs.
type Configuration struct {
	Path       string    `json:"path"`
	Loaded     time.Time `json:"loaded"`
	Reloads    int       `json:"reloads"`
	LastReload string    `json:"last_reload"` // ok, or why it failed
}

// Dump is everything that there is to be seen, as `sluice proxy-config all -o
// json` saves it.
type Dump struct {
	Server      Server      `json:"server"`
	Listeners   []Listener  `json:"listeners"`
	Routes      []Route     `json:"routes"`
	Clusters    []Cluster   `json:"clusters"`
	Endpoints   []Endpoint  `json:"endpoints"`
	Secrets     []Secret    `json:"secrets"`
	Connections Connections `json:"connections"`
}
