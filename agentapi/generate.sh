#!/bin/sh
# Writes agent.pb.go and agentapiconnect from agent.proto. The two plugins are built by `go run` at the versions of go.mod.
set -eu
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin/" google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/cmd/protoc-gen-connect-go
PATH="$bin:$PATH" protoc --go_out=. --go_opt=paths=source_relative \
	--connect-go_out=. --connect-go_opt=paths=source_relative,package_suffix=connect agent.proto
