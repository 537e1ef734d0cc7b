//go:build !linux

package spaceserver

// trim does nothing where pages of the executable cannot be given back.
func trim() {}
