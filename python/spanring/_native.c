// The Python extension: spans over spanring/c.h, with contextvars for what is current.
//
// Tracing must not change what its host does: whatever goes wrong in here is cleared, and what is
// of another type than expected is turned into text. Only a call with the wrong number of arguments
// raises, and what is no Exception, such as KeyboardInterrupt, passes.
//
// A value's own code (__str__, __index__) may do anything, let another thread do it, or fork: a
// handle is read after it has run, never before.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <spanring/c.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

// --- What is current -----------------------------------------------------------------------------

// A span that this process did not start, or one that has been told of by its ids.
typedef struct {
  PyObject_HEAD spanring_context context;
  PyObject* carried;  // As of Span.
} ContextObject;

typedef struct {
  PyObject_HEAD spanring_span* handle;  // NULL: ended, or it records nothing.
  spanring_context context;             // Its own; all zero where it records nothing.
  PyObject* carried;    // NULL, or what came with the trace and is passed on: a tuple.
  PyObject* previous;   // What was current when it was entered; NULL when it is not. No cycles:
                        // a span that was current before gets a SpanContext, see SpanEnter.
  void* entered_in;     // The contextvars.Context in which it was.
  unsigned generation;  // Of the process: after a fork it is the parent's.
  bool is_misplaced;    // Not current any more, though some context still says so.
  bool was_current;     // Once, anywhere: other spans may have it as their `previous`.
} SpanObject;

static PyTypeObject* span_type;
static PyTypeObject* context_type;
static PyObject* current_variable;  // A ContextVar of a Span, a SpanContext or None.
static SpanObject* nothing;         // The span that all are while tracing is off.
static PyObject* describe_error;    // spanring._errors.describe
static volatile unsigned generation;

static void InChild(void) { ++generation; }

static bool IsSpan(PyObject* object) { return Py_IS_TYPE(object, span_type); }

// The handle, unless it belongs to the process that forked this one.
static spanring_span** HandleOf(SpanObject* span) {
  if (span->generation != generation) span->handle = NULL;
  return &span->handle;
}

// --- What is raised in here ----------------------------------------------------------------------

static PyObject* TakeError(void) {
#if PY_VERSION_HEX >= 0x030c0000
  return PyErr_GetRaisedException();
#else
  PyObject* type = NULL;
  PyObject* value = NULL;
  PyObject* traceback = NULL;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (value != NULL && traceback != NULL) PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return value;
#endif
}

static void PutError(PyObject* error) {
#if PY_VERSION_HEX >= 0x030c0000
  PyErr_SetRaisedException(error);
#else
  PyErr_Restore(Py_NewRef((PyObject*)Py_TYPE(error)), error, PyException_GetTraceback(error));
#endif
}

// From Forget to Finish: what is the host's to see.
static _Thread_local PyObject* interruption;

// Clears what a value's own code raised.
static void Forget(void) {
  if (!PyErr_Occurred()) return;
  if (PyErr_ExceptionMatches(PyExc_Exception)) {
    PyErr_Clear();
    return;
  }
  PyObject* error = TakeError();
  if (interruption == NULL) {
    interruption = error;
  } else {
    Py_XDECREF(error);
  }
}

// The result of a call that may have run a value's own code.
static PyObject* Finish(PyObject* result) {
  if (interruption == NULL) return result;
  PyObject* error = interruption;
  interruption = NULL;
  Py_XDECREF(result);
  PutError(error);
  return NULL;
}

// --- The current one -----------------------------------------------------------------------------

// A new reference, or NULL where nothing is current.
static PyObject* Current(void) {
  PyObject* value = NULL;
  if (PyContextVar_Get(current_variable, NULL, &value) < 0) {
    PyErr_Clear();
    return NULL;
  }
  // Its own parent counts.
  while (value != NULL && IsSpan(value) && ((SpanObject*)value)->is_misplaced) {
    PyObject* previous = ((SpanObject*)value)->previous;
    Py_XINCREF(previous);
    Py_SETREF(value, previous);
  }
  if (value == Py_None) Py_CLEAR(value);
  return value;
}

// To be compared only.
static void* CurrentContext(void) { return PyThreadState_Get()->context; }

static void SetCurrent(PyObject* value) {
  PyObject* token = PyContextVar_Set(current_variable, value == NULL ? Py_None : value);
  if (token == NULL) PyErr_Clear();
  Py_XDECREF(token);
}

// --- Texts and attributes ------------------------------------------------------------------------

typedef struct {
  const char* data;
  Py_ssize_t size;
  PyObject* owner;  // To be released.
} Text;

// As UTF-8. Of what is no text, str() of it.
static Text TextOf(PyObject* object) {
  Text text = {NULL, 0, NULL};
  if (object == NULL || object == Py_None) return text;
  if (!PyUnicode_Check(object)) {
    if (PyBytes_Check(object)) {
      text.data = PyBytes_AS_STRING(object);
      text.size = PyBytes_GET_SIZE(object);
      return text;
    }
    text.owner = PyObject_Str(object);
    if (text.owner == NULL) {
      Forget();
      return text;
    }
    object = text.owner;
  }
  text.data = PyUnicode_AsUTF8AndSize(object, &text.size);
  if (text.data != NULL) return text;
  // Lone surrogates.
  PyErr_Clear();
  PyObject* bytes = PyUnicode_AsEncodedString(object, "utf-8", "replace");
  Py_XSETREF(text.owner, bytes);
  text.size = 0;
  if (bytes == NULL) {
    PyErr_Clear();
  } else {
    text.data = PyBytes_AS_STRING(bytes);
    text.size = PyBytes_GET_SIZE(bytes);
  }
  return text;
}

static void Release(Text* text) { Py_CLEAR(text->owner); }

// The number that an object with __index__ is, if it fits.
static bool IndexOf(PyObject* object, int64_t* number) {
  PyObject* index = PyNumber_Index(object);
  int overflow = 1;
  if (index != NULL) *number = PyLong_AsLongLongAndOverflow(index, &overflow);
  Py_XDECREF(index);
  Forget();
  return overflow == 0;
}

static void SetAttribute(SpanObject* span, PyObject* key, PyObject* value) {
  if (*HandleOf(span) == NULL || value == Py_None) return;
  Text name = TextOf(key);
  int64_t number = 0;
  if (PyBool_Check(value)) {
    spanring_span_set_bool(*HandleOf(span), name.data, (size_t)name.size, value == Py_True);
  } else if (PyFloat_Check(value)) {
    spanring_span_set_double(*HandleOf(span), name.data, (size_t)name.size,
                             PyFloat_AS_DOUBLE(value));
  } else if (!PyUnicode_Check(value) && PyIndex_Check(value) && IndexOf(value, &number)) {
    spanring_span_set_int(*HandleOf(span), name.data, (size_t)name.size, number);
  } else {
    Text text = TextOf(value);
    spanring_span_set_text(*HandleOf(span), name.data, (size_t)name.size, text.data,
                           (size_t)text.size);
    Release(&text);
  }
  Release(&name);
}

static void SetExecution(SpanObject* span, PyObject* job_id, PyObject* execution_id,
                         PyObject* model_id, PyObject* region) {
  if (*HandleOf(span) == NULL) return;
  int64_t id = 0;
  bool has_id = false;
  if (execution_id != NULL && execution_id != Py_None) {
    PyObject* parsed = NULL;
    if (PyUnicode_Check(execution_id)) {
      parsed = PyLong_FromUnicodeObject(execution_id, 10);
      Forget();
    }
    PyObject* number = parsed == NULL ? execution_id : parsed;
    has_id = PyIndex_Check(number) && IndexOf(number, &id);
    Py_XDECREF(parsed);
    if (!has_id) {
      Text text = TextOf(execution_id);
      spanring_span_set_text(*HandleOf(span), "execution_id", SPANRING_NUL, text.data,
                             (size_t)text.size);
      Release(&text);
    }
  }
  Text job = TextOf(job_id);
  Text model = TextOf(model_id);
  Text where = TextOf(region);
  spanring_span_set_execution_context(*HandleOf(span), job.data, (size_t)job.size,
                                      has_id ? &id : NULL, model.data, (size_t)model.size,
                                      where.data, (size_t)where.size);
  Release(&job);
  Release(&model);
  Release(&where);
}

// --- Starting ------------------------------------------------------------------------------------

enum { kService, kParent, kKind, kJobId, kExecutionId, kModelId, kRegion, kNameCount };
static const char* const names[kNameCount] = {"service",      "parent",   "kind",  "job_id",
                                              "execution_id", "model_id", "region"};
static PyObject* interned[kNameCount];
static PyObject* span_kind;

static int NumberOfName(PyObject* name) {
  for (int i = 0; i < kNameCount; ++i) {
    if (name == interned[i]) return i;
  }
  for (int i = 0; i < kNameCount; ++i) {
    if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0) return i;
  }
  return -1;
}

// A context and what it carries, of a Span or a SpanContext; all zero of anything else.
static spanring_context ContextOf(PyObject* object, PyObject** carried) {
  const spanring_context none = {0};
  *carried = NULL;
  if (object == NULL) return none;
  if (IsSpan(object)) {
    *carried = ((SpanObject*)object)->carried;
    return ((SpanObject*)object)->context;
  }
  if (Py_IS_TYPE(object, context_type)) {
    *carried = ((ContextObject*)object)->carried;
    return ((ContextObject*)object)->context;
  }
  return none;
}

static PyObject* StartSpan(PyObject* module, PyObject* const* args, Py_ssize_t count,
                           PyObject* keywords) {
  (void)module;
  if (count != 1) {
    PyErr_Format(PyExc_TypeError, "span() takes one operation, and keywords; %zd were given",
                 count);
    return NULL;
  }
  if (!spanring_enabled()) return Py_NewRef((PyObject*)nothing);
  SpanObject* span = PyObject_New(SpanObject, span_type);
  if (span == NULL) {
    PyErr_Clear();
    return Py_NewRef((PyObject*)nothing);
  }
  span->handle = NULL;
  span->carried = NULL;
  span->previous = NULL;
  span->entered_in = NULL;
  span->generation = generation;
  span->is_misplaced = false;
  span->was_current = false;

  PyObject* given[kNameCount] = {NULL};
  const Py_ssize_t named = keywords == NULL ? 0 : PyTuple_GET_SIZE(keywords);
  Py_ssize_t attributes = 0;
  for (Py_ssize_t i = 0; i < named; ++i) {
    const int number = NumberOfName(PyTuple_GET_ITEM(keywords, i));
    if (number < 0) {
      ++attributes;
    } else {
      given[number] = args[1 + i];
    }
  }
  // parent=None is a root.
  PyObject* parent = given[kParent] == NULL ? Current() : Py_NewRef(given[kParent]);
  PyObject* carried = NULL;
  const spanring_context above = ContextOf(parent, &carried);
  span->carried = Py_XNewRef(carried);
  Py_XDECREF(parent);

  Text service = TextOf(given[kService]);
  Text operation = TextOf(args[0]);
  span->handle = spanring_span_start_child(&above, service.data, (size_t)service.size,
                                           operation.data, (size_t)operation.size);
  span->generation = generation;  // What the texts' own code has forked is another process.
  Release(&service);
  Release(&operation);
  spanring_span_context(span->handle, &span->context);
  if (span->handle == NULL) {
    // No room for it: what begins inside stays in its parent's trace.
    span->context = above;
    return Finish((PyObject*)span);
  }

  if (given[kJobId] != NULL || given[kExecutionId] != NULL || given[kModelId] != NULL ||
      given[kRegion] != NULL) {
    SetExecution(span, given[kJobId], given[kExecutionId], given[kModelId], given[kRegion]);
  }
  if (given[kKind] != NULL) SetAttribute(span, span_kind, given[kKind]);
  for (Py_ssize_t i = 0; attributes > 0 && i < named; ++i) {
    PyObject* name = PyTuple_GET_ITEM(keywords, i);
    if (NumberOfName(name) >= 0) continue;
    SetAttribute(span, name, args[1 + i]);
    --attributes;
  }
  return Finish((PyObject*)span);
}

// --- Span ----------------------------------------------------------------------------------------

static void EndWithError(SpanObject* span, PyObject* error) {
  if (*HandleOf(span) == NULL) return;
  PyObject* told = describe_error == NULL ? NULL : PyObject_CallOneArg(describe_error, error);
  PyObject* status = NULL;
  PyObject* type = NULL;
  PyObject* message = NULL;
  if (told != NULL) PyArg_ParseTuple(told, "UUU", &status, &type, &message);
  Forget();
  Text word = TextOf(status);
  Text name = TextOf(type);
  Text text = TextOf(message);
  if (type == NULL) {
    name.data = Py_TYPE(error)->tp_name;
    name.size = (Py_ssize_t)strlen(name.data);
  }
  spanring_span_complete_with_error(HandleOf(span), text.data, (size_t)text.size, name.data,
                                    (size_t)name.size, word.data, (size_t)word.size);
  Release(&word);
  Release(&name);
  Release(&text);
  Py_XDECREF(told);
}

static void SpanDealloc(SpanObject* span) {
  // Nobody can end it any more.
  spanring_span_complete(HandleOf(span), NULL, 0);
  Py_CLEAR(span->carried);
  PyObject* previous = span->previous;
  PyTypeObject* type = Py_TYPE(span);
  PyObject_Free(span);
  Py_DECREF(type);
  // A chain of spans that were entered and never left may be as long as there is memory: one at a
  // time, not one inside the other.
  while (previous != NULL && IsSpan(previous) && Py_REFCNT(previous) == 1) {
    PyObject* next = ((SpanObject*)previous)->previous;
    ((SpanObject*)previous)->previous = NULL;
    Py_DECREF(previous);
    previous = next;
  }
  Py_XDECREF(previous);
}

static PyObject* NewContext(const spanring_context* context, PyObject* carried) {
  if (context->span_id == 0) Py_RETURN_NONE;
  ContextObject* object = PyObject_New(ContextObject, context_type);
  if (object == NULL) return NULL;
  object->context = *context;
  object->carried = Py_XNewRef(carried);
  return (PyObject*)object;
}

// What a span has as `previous`. One that was current before may be behind what is current now,
// by itself or by a span that was entered under it: its ids do then.
static PyObject* PreviousOf(SpanObject* span) {
  PyObject* current = Current();
  if (current == NULL) return Py_NewRef(Py_None);
  if (!span->was_current || !IsSpan(current)) return current;
  SpanObject* above = (SpanObject*)current;
  PyObject* context = NewContext(&above->context, above->carried);
  Py_DECREF(current);
  if (context != NULL) return context;
  PyErr_Clear();
  return Py_NewRef(Py_None);
}

static PyObject* SpanEnter(SpanObject* span, PyObject* unused) {
  (void)unused;
  if (span != nothing && span->previous == NULL) {
    span->previous = PreviousOf(span);
    span->was_current = true;
    SetCurrent((PyObject*)span);
    span->entered_in = CurrentContext();
  }
  return Py_NewRef((PyObject*)span);
}

// Makes what was current before current again, where this still is. A task that was started inside
// has a copy of the context, and goes on under it. But a generator that is closed from elsewhere,
// and blocks that do not nest, leave it behind where it was entered.
static void Leave(SpanObject* span) {
  if (span->previous == NULL) return;
  PyObject* value = NULL;
  if (PyContextVar_Get(current_variable, NULL, &value) < 0) PyErr_Clear();
  const bool is_current = value == (PyObject*)span;
  Py_XDECREF(value);
  if (is_current) SetCurrent(span->previous);
  if (is_current && span->entered_in == CurrentContext()) {
    Py_CLEAR(span->previous);
  } else {
    span->is_misplaced = true;
  }
}

static PyObject* SpanExit(SpanObject* span, PyObject* const* args, Py_ssize_t count) {
  if (span != nothing) {
    Leave(span);
    if (count >= 2 && args[1] != Py_None) {
      EndWithError(span, args[1]);
    } else {
      spanring_span_complete(HandleOf(span), NULL, 0);
    }
  }
  return Finish(Py_NewRef(Py_False));
}

static PyObject* SpanSetAttribute(SpanObject* span, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "set_attribute() takes a key and a value");
    return NULL;
  }
  SetAttribute(span, args[0], args[1]);
  return Finish(Py_NewRef(Py_None));
}

static PyObject* SpanSetExecutionContext(SpanObject* span, PyObject* args, PyObject* keywords) {
  static char* list[] = {"job_id", "execution_id", "model_id", "region", NULL};
  PyObject* given[4] = {NULL};
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "|OOOO:set_execution_context", list, &given[0],
                                   &given[1], &given[2], &given[3])) {
    return NULL;
  }
  SetExecution(span, given[0], given[1], given[2], given[3]);
  return Finish(Py_NewRef(Py_None));
}

static PyObject* SpanComplete(SpanObject* span, PyObject* args, PyObject* keywords) {
  static char* list[] = {"status", NULL};
  PyObject* status = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O:complete", list, &status)) return NULL;
  Text text = TextOf(status);
  spanring_span_complete(HandleOf(span), text.data, (size_t)text.size);
  Release(&text);
  return Finish(Py_NewRef(Py_None));
}

static PyObject* SpanCompleteWithError(SpanObject* span, PyObject* args, PyObject* keywords) {
  static char* list[] = {"error", "error_type", "status", NULL};
  PyObject* error = NULL;
  PyObject* error_type = NULL;
  PyObject* status = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|OO:complete_with_error", list, &error,
                                   &error_type, &status)) {
    return NULL;
  }
  if (PyExceptionInstance_Check(error)) {
    EndWithError(span, error);
    return Finish(Py_NewRef(Py_None));
  }
  Text message = TextOf(error);
  Text type = TextOf(error_type);
  Text word = TextOf(status);
  spanring_span_complete_with_error(HandleOf(span), message.data, (size_t)message.size, type.data,
                                    (size_t)type.size, word.data, (size_t)word.size);
  Release(&message);
  Release(&type);
  Release(&word);
  return Finish(Py_NewRef(Py_None));
}

static PyObject* SpanContextOf(SpanObject* span, void* unused) {
  (void)unused;
  return NewContext(&span->context, span->carried);
}

static PyObject* SpanIsRecording(SpanObject* span, void* unused) {
  (void)unused;
  return PyBool_FromLong(*HandleOf(span) != NULL);
}

static PyObject* Header(const spanring_context* context) {
  char header[SPANRING_TRACEPARENT_SIZE];
  if (spanring_write_traceparent(context, header) != SPANRING_OK) return PyUnicode_FromString("");
  return PyUnicode_FromString(header);
}

static PyObject* SpanTraceparent(SpanObject* span, void* unused) {
  (void)unused;
  return Header(&span->context);
}

static PyObject* SpanRepr(SpanObject* span) {
  if (span->context.span_id == 0) return PyUnicode_FromString("<spanring.Span, not recording>");
  PyObject* header = Header(&span->context);
  if (header == NULL) return NULL;
  PyObject* text = PyUnicode_FromFormat("<spanring.Span %U%s>", header,
                                        *HandleOf(span) == NULL ? ", ended" : "");
  Py_DECREF(header);
  return text;
}

static PyMethodDef span_methods[] = {
    {"__enter__", (PyCFunction)SpanEnter, METH_NOARGS, "Makes the span current."},
    {"__exit__", (PyCFunction)(void (*)(void))SpanExit, METH_FASTCALL,
     "Ends the span, as failed or timed out where an exception passes."},
    {"set_attribute", (PyCFunction)(void (*)(void))SpanSetAttribute, METH_FASTCALL,
     "set_attribute($self, key, value, /)\n--\n\nAdds a key and its value to the metadata."},
    {"set_execution_context", (PyCFunction)(void (*)(void))SpanSetExecutionContext,
     METH_VARARGS | METH_KEYWORDS,
     "set_execution_context($self, job_id=None, execution_id=None, model_id=None,\n"
     "                      region=None)\n--\n\n"
     "Sets these columns; what is None stays as it was."},
    {"complete", (PyCFunction)(void (*)(void))SpanComplete, METH_VARARGS | METH_KEYWORDS,
     "complete($self, status='completed')\n--\n\nEnds the span as completed, failed or timeout."},
    {"complete_with_error", (PyCFunction)(void (*)(void))SpanCompleteWithError,
     METH_VARARGS | METH_KEYWORDS,
     "complete_with_error($self, error, error_type='', status='failed')\n--\n\n"
     "Ends the span with an error: its message and type, or an exception."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef span_members[] = {
    {"context", (getter)SpanContextOf, NULL,
     "What a child needs, as a SpanContext; None when tracing is off.", NULL},
    {"is_recording", (getter)SpanIsRecording, NULL, "False once it has ended.", NULL},
    {"traceparent", (getter)SpanTraceparent, NULL, "W3C's header; '' when nothing is recorded.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot span_slots[] = {
    {Py_tp_dealloc, SpanDealloc},
    {Py_tp_repr, SpanRepr},
    {Py_tp_methods, span_methods},
    {Py_tp_getset, span_members},
    {Py_tp_doc, "One operation of a service, from span() to its end. `with` makes it current."},
    {0, NULL},
};

static PyType_Spec span_spec = {
    .name = "spanring.Span",
    .basicsize = sizeof(SpanObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = span_slots,
};

// --- SpanContext ---------------------------------------------------------------------------------

static void ContextDealloc(ContextObject* object) {
  Py_CLEAR(object->carried);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

static PyObject* ContextTraceparent(ContextObject* object, void* unused) {
  (void)unused;
  return Header(&object->context);
}

static PyObject* Hex(const char* format, unsigned long long a, unsigned long long b) {
  char text[40];
  PyOS_snprintf(text, sizeof(text), format, a, b);
  return PyUnicode_FromString(text);
}

static PyObject* ContextTraceId(ContextObject* object, void* unused) {
  (void)unused;
  return Hex("%016llx%016llx", object->context.trace_id_high, object->context.trace_id_low);
}

static PyObject* ContextSpanId(ContextObject* object, void* unused) {
  (void)unused;
  return Hex("%016llx", object->context.span_id, 0);
}

static PyObject* ContextSampled(ContextObject* object, void* unused) {
  (void)unused;
  return PyBool_FromLong(object->context.is_sampled != 0);
}

static PyObject* ContextCarried(ContextObject* object, void* unused) {
  (void)unused;
  return object->carried == NULL ? PyTuple_New(0) : Py_NewRef(object->carried);
}

static PyObject* ContextRepr(ContextObject* object) {
  PyObject* header = Header(&object->context);
  if (header == NULL) return NULL;
  PyObject* text = PyUnicode_FromFormat("<spanring.SpanContext %U>", header);
  Py_DECREF(header);
  return text;
}

static PyGetSetDef context_members[] = {
    {"traceparent", (getter)ContextTraceparent, NULL, "W3C's header.", NULL},
    {"trace_id", (getter)ContextTraceId, NULL, "32 hex digits.", NULL},
    {"span_id", (getter)ContextSpanId, NULL, "16 hex digits.", NULL},
    {"sampled", (getter)ContextSampled, NULL, "W3C's flag.", NULL},
    {"carried", (getter)ContextCarried, NULL,
     "Headers that travel with the trace and are passed on, as pairs: tracestate, baggage.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot context_slots[] = {
    {Py_tp_dealloc, ContextDealloc},
    {Py_tp_repr, ContextRepr},
    {Py_tp_getset, context_members},
    {Py_tp_doc, "What a child needs to know of its parent, in this process or in another."},
    {0, NULL},
};

static PyType_Spec context_spec = {
    .name = "spanring.SpanContext",
    .basicsize = sizeof(ContextObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = context_slots,
};

// --- The module ----------------------------------------------------------------------------------

static PyObject* CurrentValue(PyObject* module, PyObject* unused) {
  (void)module;
  (void)unused;
  PyObject* value = Current();
  if (value == NULL) Py_RETURN_NONE;
  return value;
}

// What is neither a Span nor a SpanContext is None.
static void Exchange(PyObject* value) {
  if (IsSpan(value)) {
    ((SpanObject*)value)->was_current = true;
  } else if (!Py_IS_TYPE(value, context_type)) {
    value = NULL;
  }
  SetCurrent(value);
}

static PyObject* ExchangeCurrent(PyObject* module, PyObject* value) {
  (void)module;
  PyObject* previous = Current();
  Exchange(value);
  if (previous == NULL) Py_RETURN_NONE;
  return previous;
}

// restore_current(expected, previous)
static PyObject* RestoreCurrent(PyObject* module, PyObject* const* args, Py_ssize_t count) {
  (void)module;
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "restore_current() takes two contexts");
    return NULL;
  }
  PyObject* carried = NULL;
  PyObject* current = Current();
  const uint64_t now = ContextOf(current, &carried).span_id;
  Py_XDECREF(current);
  if (now == ContextOf(args[0], &carried).span_id) Exchange(args[1]);
  Py_RETURN_NONE;
}

// Of the contextvars.Context that runs; to be compared only.
static PyObject* ContextNumber(PyObject* module, PyObject* unused) {
  (void)module;
  (void)unused;
  return PyLong_FromVoidPtr(CurrentContext());
}

static PyObject* ReadTraceparent(PyObject* module, PyObject* args) {
  (void)module;
  PyObject* header = NULL;
  PyObject* carried = NULL;
  if (!PyArg_ParseTuple(args, "OO!:read_traceparent", &header, &PyTuple_Type, &carried)) {
    return NULL;
  }
  Text text = TextOf(header);
  spanring_context context;
  const spanring_code code = spanring_read_traceparent(text.data, (size_t)text.size, &context);
  Release(&text);
  if (code != SPANRING_OK) return Finish(Py_NewRef(Py_None));
  return Finish(NewContext(&context, PyTuple_GET_SIZE(carried) == 0 ? NULL : carried));
}

static PyObject* Enabled(PyObject* module, PyObject* unused) {
  (void)module;
  (void)unused;
  return PyBool_FromLong(spanring_enabled());
}

static PyObject* SetEnabled(PyObject* module, PyObject* enabled) {
  (void)module;
  const int wanted = PyObject_IsTrue(enabled);
  if (wanted < 0) return NULL;
  return PyLong_FromLong(spanring_set_enabled(wanted));
}

// start(["NAME=value", ...]) -> code
static PyObject* Start(PyObject* module, PyObject* settings) {
  (void)module;
  PyObject* fast = PySequence_Fast(settings, "settings are a sequence of texts");
  if (fast == NULL) return NULL;
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(fast);
  const char** texts = PyMem_New(const char*, (size_t)count + 1);
  if (texts == NULL) {
    Py_DECREF(fast);
    return PyErr_NoMemory();
  }
  for (Py_ssize_t i = 0; i < count; ++i) {
    texts[i] = PyUnicode_AsUTF8(PySequence_Fast_GET_ITEM(fast, i));
    if (texts[i] == NULL) {
      PyMem_Free(texts);
      Py_DECREF(fast);
      return NULL;
    }
  }
  const spanring_code code = spanring_start(texts, (size_t)count);
  PyMem_Free(texts);
  Py_DECREF(fast);
  return PyLong_FromLong(code);
}

static uint64_t Dropped(void) {
  spanring_stats stats = {.size = sizeof(stats)};
  spanring_get_stats(&stats);
  return stats.dropped;
}

// A wait of the library's, without the interpreter's lock, and in slices: signals are heard.
enum { kSliceMs = 100 };
static PyObject* Wait(PyObject* timeout_ms, spanring_code (*wait)(int64_t)) {
  long long left_ms = PyLong_AsLongLong(timeout_ms);
  if (left_ms == -1 && PyErr_Occurred()) return NULL;
  const uint64_t dropped_before = Dropped();
  while (true) {
    const long long slice_ms = left_ms < kSliceMs ? left_ms : kSliceMs;
    spanring_code code;
    Py_BEGIN_ALLOW_THREADS;
    code = wait(slice_ms);
    Py_END_ALLOW_THREADS;
    left_ms -= slice_ms;
    if (code != SPANRING_TIMEOUT || left_ms <= 0) {
      // Of an earlier slice.
      if (code == SPANRING_OK && Dropped() != dropped_before) code = SPANRING_LOSS;
      return PyLong_FromLong(code);
    }
    if (PyErr_CheckSignals() < 0) return NULL;
  }
}

static PyObject* Flush(PyObject* module, PyObject* timeout_ms) {
  (void)module;
  return Wait(timeout_ms, spanring_flush);
}
static PyObject* FlushToDisk(PyObject* module, PyObject* timeout_ms) {
  (void)module;
  return Wait(timeout_ms, spanring_flush_to_disk);
}
static PyObject* Shutdown(PyObject* module, PyObject* timeout_ms) {
  (void)module;
  const long long ms = PyLong_AsLongLong(timeout_ms);
  if (ms == -1 && PyErr_Occurred()) return NULL;
  spanring_code code;
  Py_BEGIN_ALLOW_THREADS;  // In one piece: what its end finds is dropped.
  code = spanring_shutdown(ms);
  Py_END_ALLOW_THREADS;
  return PyLong_FromLong(code);
}

static PyObject* CodeText(PyObject* module, PyObject* code) {
  (void)module;
  const long number = PyLong_AsLong(code);
  if (number == -1 && PyErr_Occurred()) return NULL;
  return PyUnicode_FromString(spanring_code_text((int)number));
}

static PyObject* GetStats(PyObject* module, PyObject* unused) {
  (void)module;
  (void)unused;
  spanring_stats stats = {.size = sizeof(stats)};
  spanring_get_stats(&stats);
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "started", stats.started,
                       "persisted", stats.persisted, "sampled_out", stats.sampled_out, "journalled",
                       stats.journalled, "open", stats.open, "dropped", stats.dropped, "misuses",
                       stats.misuses, "dropped_attributes", stats.dropped_attributes,
                       "persist_failures", stats.persist_failures);
}

// Types and functions are the process's, and would outlive the interpreter that made them.
static bool IsMainInterpreter(void) {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) return true;
  PyErr_SetString(PyExc_ImportError, "spanring works in the main interpreter only");
  return false;
}

static PyObject* SetDescriber(PyObject* module, PyObject* function) {
  (void)module;
  if (!IsMainInterpreter()) return NULL;  // Here: a second import makes no module.
  Py_XSETREF(describe_error, Py_NewRef(function));
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"span", (PyCFunction)(void (*)(void))StartSpan, METH_FASTCALL | METH_KEYWORDS,
     "span(operation, /, *, service=..., parent=..., kind=..., job_id=..., execution_id=...,\n"
     "     model_id=..., region=..., **attributes)\n\n"
     "Starts a span: a child of the current one, or of `parent` (None: the root of a fresh\n"
     "trace). `with` makes it current, and ends it. `kind` is client, server, producer or\n"
     "consumer. Other keywords are attributes. Never raises for what a value is."},
    {"current", CurrentValue, METH_NOARGS, "The current Span or SpanContext, or None."},
    {"exchange_current", ExchangeCurrent, METH_O, "Makes another one current; returns it."},
    {"context_number", ContextNumber, METH_NOARGS, "Of the contextvars.Context that runs."},
    {"restore_current", (PyCFunction)(void (*)(void))RestoreCurrent, METH_FASTCALL,
     "Makes `previous` current again, where `expected` still is."},
    {"read_traceparent", ReadTraceparent, METH_VARARGS, "A SpanContext, or None."},
    {"enabled", Enabled, METH_NOARGS, "Whether spans are recorded."},
    {"set_enabled", SetEnabled, METH_O, "Switches recording off and on; returns a code."},
    {"start", Start, METH_O, "Starts the tracer with settings; returns a code."},
    {"flush", Flush, METH_O, "Milliseconds to a code."},
    {"flush_to_disk", FlushToDisk, METH_O, "Milliseconds to a code."},
    {"shutdown", Shutdown, METH_O, "Milliseconds to a code."},
    {"code_text", CodeText, METH_O, "What a code means."},
    {"stats", GetStats, METH_NOARGS,
     "What became of this process's spans:\n"
     "started = persisted + journalled + open + dropped."},
    {"set_describer", SetDescriber, METH_O, "For exceptions: (status, type, message) of one."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT, .m_name = "spanring._native", .m_doc = "Spans, over spanring/c.h.",
    .m_size = -1,          .m_methods = functions,
};

PyMODINIT_FUNC PyInit__native(void) {
  if (!IsMainInterpreter()) return NULL;
  PyObject* module = PyModule_Create(&module_definition);
  if (module == NULL) return NULL;
  span_type = (PyTypeObject*)PyType_FromSpec(&span_spec);
  context_type = (PyTypeObject*)PyType_FromSpec(&context_spec);
  current_variable = PyContextVar_New("spanring.current", NULL);
  span_kind = PyUnicode_InternFromString("span.kind");
  if (span_type == NULL || context_type == NULL || current_variable == NULL || span_kind == NULL) {
    return NULL;
  }
  for (int i = 0; i < kNameCount; ++i) {
    interned[i] = PyUnicode_InternFromString(names[i]);
    if (interned[i] == NULL) return NULL;
  }
  nothing = PyObject_New(SpanObject, span_type);
  if (nothing == NULL) return NULL;
  memset((char*)nothing + sizeof(PyObject), 0, sizeof(SpanObject) - sizeof(PyObject));
  if (PyModule_AddObjectRef(module, "Span", (PyObject*)span_type) < 0 ||
      PyModule_AddObjectRef(module, "SpanContext", (PyObject*)context_type) < 0) {
    return NULL;
  }
  pthread_atfork(NULL, NULL, InChild);
  return module;
}
