// The shapes in which the admin API answers: package sluice/proxy/status, whose
// comments say what each field means. A Go test holds them to be the same.

export interface Traffic {
  active: number;
  connections: number;
  bytes_received: number;
  bytes_sent: number;
}

export interface Configuration {
  path: string;
  loaded: string;
  reloads: number;
  last_reload: string;
}

export interface Server {
  version: string;
  go: string;
  pid: number;
  state: string;
  started: string;
  uptime_ms: number;
  generation: number;
  workers: number;
  splice: string;
  connections: number;
  max_connections: number;
  configuration: Configuration;
}

export interface Match {
  server_names?: string[];
  transport_protocol?: string;
  application_protocols?: string[];
  destination_port?: number;
  destination_prefix_ranges?: string[];
  source_prefix_ranges?: string[];
  direct_source_prefix_ranges?: string[];
  source_ports?: number[];
  ja4?: string[];
}

export interface Destination {
  cluster: string;
  weight: number;
  share: number;
  traffic: Traffic;
}

export interface FilterChain {
  name: string;
  position: string;
  default?: boolean;
  match: Match;
  match_text: string;
  tls: string;
  destination: Destination[];
  traffic: Traffic;
}

export interface Listener {
  name: string;
  position: string;
  addresses: string[];
  filter_chains: FilterChain[];
  on_no_match: string;
  proxy_protocol?: string;
  traffic: Traffic;
}

export interface Route {
  name: string;
  listener: string;
  position: string;
  domains: string[];
  match_text: string;
  destination: Destination[];
  hash_on?: string;
  idle_timeout: string;
  half_close_timeout: string;
  max_downstream_connection_duration: string;
}

export interface Cluster {
  name: string;
  position: string;
  type: string;
  discovery: string[];
  lb_policy: string;
  port: string;
  endpoints: number;
  healthy: number;
  max_connections: number;
  max_pending: number;
  pending: number;
  tls?: string;
  health_check?: string;
  traffic: Traffic;
}

export interface Check {
  time: string;
  passed: boolean;
  took_ms: number;
  reason?: string;
}

export interface Endpoint {
  cluster: string;
  name: string;
  address: string;
  status: string;
  state: string;
  health: string;
  outlier: string;
  serving: boolean;
  weight: number;
  weight_set?: boolean;
  priority: number;
  max_connections: number;
  attempts: number;
  failures: number;
  early_ends: number;
  ejections: number;
  last_check?: Check;
  traffic: Traffic;
}

export interface Connection {
  id: number;
  phase: string;
  listener: string;
  source: string;
  direct_source?: string;
  destination: string;
  sni?: string;
  alpn?: string;
  ja4?: string;
  filter_chain?: string;
  tls?: string;
  cluster?: string;
  endpoint?: string;
  endpoint_address?: string;
  started: string;
  age_ms: number;
  idle_ms: number;
  bytes_received: number;
  bytes_sent: number;
  mode_received?: string;
  mode_sent?: string;
  generation: number;
}

export interface Connections {
  connections: Connection[];
  total: number;
  next?: number;
}

export interface Question {
  listener: string;
  server_name?: string;
  transport_protocol?: string;
  application_protocols?: string[];
  source?: string;
  direct_source?: string;
  destination?: string;
  ja4?: string;
  hello?: string;
}

export interface Mismatch {
  criterion: string;
  got: string;
  want: string;
}

export interface Defeat {
  criterion: string;
  own: string;
  winners: string;
}

export interface Verdict {
  filter_chain: string;
  position: string;
  default?: boolean;
  won: boolean;
  failed?: Mismatch[];
  lost_by?: Defeat;
}

export interface Candidate {
  endpoint: string;
  address: string;
  rank: number;
  weight: number;
  priority: number;
  status: string;
  outlier: string;
  active: number;
  why?: string;
}

export interface Alternative {
  cluster: string;
  position: string;
  weight: number;
  share: number;
  lb_policy: string;
  refusal?: string;
  endpoints: Candidate[];
}

export interface Explanation {
  question: Question;
  listener: string;
  position: string;
  hello?: string;
  hello_needed: boolean;
  admission: string;
  filter_chains: Verdict[];
  outcome: string;
  reason: string;
  filter_chain?: string;
  tls?: string;
  clusters: Alternative[];
  sent: string[];
}

/** What the gateway tells every second. */
export interface Flow {
  time: string;
  server: Server;
  listeners: Listener[];
  clusters: Cluster[];
  endpoints: Endpoint[];
}

/** What this visitor may do. */
export interface Session {
  may_change: boolean;
  token_configured: boolean;
  logged_in: boolean;
}

export interface ConfigFile {
  name: string;
  text: string;
}
