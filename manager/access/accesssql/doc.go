// Package accesssql keeps grants, mappings of groups to teams, and what was pushed to Spaces, in SQLite or PostgreSQL.
package accesssql
