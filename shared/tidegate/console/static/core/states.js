// The states of a job and of a run: what they are called here, in which order they are shown, and their signs.
// A sign has a shape of its own, so that colour is never all that tells states apart.

export const STATES = {
  CREATED: { label: "Waiting", tone: "waiting", sign: "M8 3.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6z" },
  RETRY: { label: "Retrying", tone: "retry", sign: "M12.6 6.2A5 5 0 1 0 13 8.6M13 3.2v3.2H9.8" },
  ACTIVE: { label: "Running", tone: "active", sign: "M5.5 3.8v8.4L12.2 8z", filled: true },
  COMPLETED: { label: "Completed", tone: "completed", sign: "M3.5 8.4l3 3 6-6.6" },
  FAILED: { label: "Failed", tone: "failed", sign: "M4.3 4.3l7.4 7.4M11.7 4.3l-7.4 7.4" },
  CANCELLED: { label: "Cancelled", tone: "cancelled", sign: "M4.5 4.5h7v7h-7z" },
  EXPIRED: { label: "Expired", tone: "expired",
    sign: "M4.5 3h7M4.5 13h7M5.5 3c0 3 5 3.5 5 5s-5 2-5 5M10.5 3c0 3-5 3.5-5 5s5 2 5 5" },
  SKIPPED: { label: "Skipped", tone: "skipped", sign: "M4 4.5L7.5 8 4 11.5M8.5 4.5L12 8l-3.5 3.5" },
};

/** The states that a run of a DAG may be in. */
export const RUN_STATES = ["ACTIVE", "COMPLETED", "FAILED", "CANCELLED", "EXPIRED"];

export const WAITING = ["CREATED", "RETRY"];
export const OPEN = ["CREATED", "RETRY", "ACTIVE"];
export const RESTARTABLE = ["FAILED", "EXPIRED", "CANCELLED"];

export const isOpen = (state) => OPEN.includes(state);
export const label = (state) => STATES[state]?.label ?? state;
export const tone = (state) => STATES[state]?.tone ?? "waiting";

/** What a priority's number is called, as the SQS queue that carries it. */
export const band = (priority) =>
  (priority >= 10 ? "critical" : priority >= 7 ? "high" : priority >= 4 ? "normal" : "low");
export const BANDS = ["critical", "high", "normal", "low"];
