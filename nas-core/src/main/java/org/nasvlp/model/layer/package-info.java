/**
 * What networks are made of. A layer declares its parameters where it uses them: {@link
 * org.nasvlp.model.layer.ParameterScope} names them, and their memory comes once all are declared.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.model.layer;
