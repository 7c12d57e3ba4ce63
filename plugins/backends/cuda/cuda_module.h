/* cuda_module.h - the compiled device code inside this plugin. */
#ifndef CUDA_MODULE_H
#define CUDA_MODULE_H

/* A fatbin with code for several kinds of device; the driver takes what fits. A build for the
 * software device has an empty one, since that device brings the kernels itself. */
extern const unsigned char cuda_module_image[];

#endif
