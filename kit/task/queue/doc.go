// Package queue says which replica runs which task, and keeps what the steps of a task returned: DBOS, fitted to the house.
// Nothing of DBOS shows above it. Its tables are in the schema "dbos" on PostgreSQL.
package queue
