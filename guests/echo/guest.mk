$(eval $(call guest,echo,multiboot))
