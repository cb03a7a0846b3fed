not hcl at all {
