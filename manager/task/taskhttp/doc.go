// Package taskhttp is the door of tasks for browsers and programs: the pages /tasks and /tasks/{id}, which follow their
// tasks live, and the REST operations below /api/v1/tasks.
package taskhttp
